// Closes the graph of a namespace to readers and writers, before it is dropped and made again. Bindings: labels [image,
// cluster, projection, member]; projection uid; upto: the seq that must be applied again before it is read.
def vertex = g.V().has('uid', projection).tryNext().orElse(null) ?:
    graph.addVertex(T.label, labels[2], 'uid', projection, 'applied_seq', 0L, 'ledger_offset', -1L, 'proposal_offset', -1L)
vertex.property('dropping', 1L)
vertex.property('rebuilt_upto', Math.max(vertex.property('rebuilt_upto').orElse(0L), upto as long))
graph.tx().commit()
return []
