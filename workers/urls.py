from django.urls import path, re_path

from workers import api

urlpatterns = [
    path("agent.pyz", api.AgentView.as_view(), name="worker_agent"),
    path("heartbeat", api.HeartbeatView.as_view(), name="worker_heartbeat"),
    path("claim", api.ClaimView.as_view(), name="worker_claim"),
    path("chunks/<int:chunk>/source", api.SourceView.as_view(), name="worker_source"),
    path("chunks/<int:chunk>/segments/<str:rendition>/<str:index>", api.SegmentView.as_view(), name="worker_segment"),
    path("chunks/<int:chunk>/report", api.ReportView.as_view(), name="worker_report"),
    path("chunks/<int:chunk>/warn", api.WarnView.as_view(), name="worker_warn"),
    path("chunks/<int:chunk>/complete", api.CompleteView.as_view(), name="worker_complete"),
    path("chunks/<int:chunk>/transcript", api.TranscriptView.as_view(), name="worker_transcript"),
    path("chunks/<int:chunk>/fail", api.FailView.as_view(), name="worker_fail"),
    path("chunks/<int:chunk>/give_back", api.GiveBackView.as_view(), name="worker_give_back"),
    re_path("", api.UnknownView.as_view()),
]
