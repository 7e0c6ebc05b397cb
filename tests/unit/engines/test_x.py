def test_x(engine_settings):
    s = engine_settings("abc")
    print(s)
    from gremlin_python.driver.client import Client
    c = Client(s.janusgraph.url, "g")
    assert c.submit("g.V().count()").all().result() == [0]
    c.close()
