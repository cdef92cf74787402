from django.urls import path, re_path

from workers.api import claims, transfers, views

urlpatterns = [
    path("agent.pyz", views.AgentView.as_view(), name="worker_agent"),
    path("heartbeat", claims.HeartbeatView.as_view(), name="worker_heartbeat"),
    path("claim", claims.ClaimView.as_view(), name="worker_claim"),
    path("chunks/<int:chunk>/source", transfers.SourceView.as_view(), name="worker_source"),
    path(
        "chunks/<int:chunk>/segments/<str:rendition>/<str:index>",
        transfers.SegmentView.as_view(),
        name="worker_segment",
    ),
    path("chunks/<int:chunk>/report", views.ReportView.as_view(), name="worker_report"),
    path("chunks/<int:chunk>/warn", views.WarnView.as_view(), name="worker_warn"),
    path("chunks/<int:chunk>/complete", views.CompleteView.as_view(), name="worker_complete"),
    path("chunks/<int:chunk>/transcript", views.TranscriptView.as_view(), name="worker_transcript"),
    path("chunks/<int:chunk>/speech", views.SpeechView.as_view(), name="worker_speech"),
    path("chunks/<int:chunk>/fail", views.FailView.as_view(), name="worker_fail"),
    path("chunks/<int:chunk>/give_back", views.ReleaseView.as_view(), name="worker_release"),
    re_path("", views.UnknownView.as_view()),
]
