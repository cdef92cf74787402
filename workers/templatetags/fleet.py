"""Filters for the pages about workers."""

from django import template

from workers import fleet

register = template.Library()
register.filter("ago", fleet.ago)
