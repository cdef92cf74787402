from django.apps import AppConfig


class TranscodingConfig(AppConfig):
    name = "transcoding"
