"""What the pages of workers say."""

from django import template

from workers import fleet

register = template.Library()
register.filter("ago", fleet.ago)
