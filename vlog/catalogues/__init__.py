"""The catalogues of translations in locale/: made from the sources, checked, and compiled.

python -m vlog.catalogues update     adds new messages to each catalogue, and removes those that are gone
python -m vlog.catalogues check      names every hole; `make check` runs it
python -m vlog.catalogues compile    writes the files that the site reads; `make setup` runs it
"""
