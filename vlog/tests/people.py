"""Accounts for tests, and browsers in which they are logged in."""

from django.contrib.auth.models import Group, User
from django.test import Client

PASSWORD = "a harbour at dawn"


def account(name, *groups, **fields):
    """Return a new account of the desk in these groups, with PASSWORD."""
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


def client_of(user):
    client = Client()
    client.force_login(user)
    return client
