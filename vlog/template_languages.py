"""An environment of Jinja2 that compiles each template once for each language, with its texts as constants.

A page has a hundred texts, and to look each one up takes longer than to render the rest of the page. What a template
includes `without context` is rendered when it is compiled, too: it depends on the language alone.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

import jinja2
from django.utils import translation
from jinja2 import nodes
from jinja2.visitor import NodeTransformer

LOOKUPS: dict[str, Callable[..., str]] = {
    "_": translation.gettext,
    "gettext": translation.gettext,
    "pgettext": translation.pgettext,
}


class Environment(jinja2.Environment):
    """The environment of one language; it has templates of the language that is active when they are asked for."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.language: str | None = None
        self.others: dict[str | None, Environment] = {None: self}

    def get_template(
        self, name: Any, parent: str | None = None, globals: MutableMapping[str, Any] | None = None
    ) -> jinja2.Template:
        language = translation.get_language()
        return super(Environment, self.in_language(language)).get_template(name, parent, globals)

    def in_language(self, language: str | None) -> "Environment":
        """Return the environment of a language, which has compiled templates of its own and all else in common."""
        if language == self.language:
            return self
        if language not in self.others:
            other = self.overlay()
            other.language = language
            self.others[language] = other
        return self.others[language]

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        with translation.override(self.language):
            tree: nodes.Template = Constants(self).visit(super()._parse(source, name, filename))
        return tree


class Constants(NodeTransformer):
    """Replaces what depends on the language alone by its HTML: texts without variables, includes without context."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja2 finds the method by this name
        self.generic_visit(node)
        lookup = LOOKUPS.get(node.node.name) if isinstance(node.node, nodes.Name) else None
        constant = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
        varies = node.kwargs or node.dyn_args or node.dyn_kwargs or len(constant) < len(node.args)
        if lookup is None or varies:
            return node
        # Each text is a format, with %% for a percent sign.
        return nodes.TemplateData(lookup(*constant) % {}, lineno=node.lineno)

    def visit_Include(self, node: nodes.Include) -> nodes.Node:  # noqa: N802 - likewise
        if node.with_context or not isinstance(node.template, nodes.Const):
            return node
        page = self.environment.get_template(node.template.value).render()
        return nodes.Output([nodes.TemplateData(page)], lineno=node.lineno)
