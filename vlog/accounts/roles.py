"""The two roles, and who may change whose account.

A role is the group that has its value as name. No account gains rights by changing accounts: one can give only the
rights that one has, and take over no account that has more.
"""

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, TextChoices
from django.utils.translation import gettext_lazy as _


class Role(TextChoices):
    EDITOR = "Editors", _("Editor")
    ADMINISTRATOR = "Administrators", _("Administrator")


def role_of(user: User) -> Role | None:
    """Return the role with the most rights. The groups may be prefetched."""
    names = {group.name for group in user.groups.all()}
    return next((role for role in (Role.ADMINISTRATOR, Role.EDITOR) if role in names), None)


def assign(user: User, role: Role) -> None:
    """Replace the role of an account. Its other groups stay."""
    user.groups.remove(*Group.objects.filter(name__in=Role.values).exclude(name=role))
    user.groups.add(Group.objects.get(name=role))


def grantable(actor: User) -> list[Role]:
    """Return the roles that an account may give to others, itself included."""
    groups = Group.objects.filter(name__in=Role.values).prefetch_related("permissions")
    own = _permissions(actor)
    names = {
        group.name
        for group in groups
        if actor.is_superuser or {permission.pk for permission in group.permissions.all()} <= own
    }
    return [role for role in Role if role in names]


def may_manage(actor: User, account: User) -> bool:
    """Return whether an account may change another one, its password too: only one that has no more rights."""
    if actor.is_superuser:
        return True
    return not account.is_superuser and _permissions(account) <= _permissions(actor)


def _permissions(user: User) -> set[int]:
    """Return the permissions of an account, also of an inactive one: it can be made active."""
    of_user = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return set(of_user.values_list("pk", flat=True))
