// Removes the position. Bindings: projection uid.
g.V().has('uid', projection).drop().iterate()
graph.tx().commit()
return []
