// Opens a graph that was dropped to its writer; readers wait until it has come to rebuilt_upto. Bindings: projection uid.
def vertex = g.V().has('uid', projection).next()
vertex.property('applied_seq', 0L)
vertex.property('ledger_offset', -1L)
vertex.property('proposal_offset', -1L)
vertex.property('dropping').remove()
if (vertex.property('rebuilt_upto').orElse(0L) == 0L) vertex.property('rebuilt_upto').remove()
graph.tx().commit()
return []
