def of_catalogues(f):
    return []


def of_sources(f):
    return []
