"""The OpenAPI document as clients that are generated from it read it."""


def test_each_operation_has_an_id_of_its_own(client):
    paths = client.get("/api/schema/?format=json").json()["paths"]
    ids = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert {"v1_uploads_list", "v1_uploads_retrieve"} <= set(ids)
    assert len(ids) == len(set(ids))
