// Applies consecutive decisions and moves the position, in the one transaction of this request.
// Bindings: labels [image, cluster, projection, member]; projection uid; wanted: the applied seq to be found; upto [seq,
// ledger offset, proposal offset]; rows [imageUid, imageId, clusterUid, clusterId, head, version, run, seq, walkUid,
// indexed (1 or 0)].
// Answers ['applied'], or what was in the way after rolling back: ['conflict', applied seq], ['head', image id].
def (imageLabel, clusterLabel, projectionLabel, memberLabel) = labels
def positionVertex = { g.V().has('uid', projection).tryNext().orElse(null) }
def projectionVertex = positionVertex()
if (projectionVertex == null && wanted == 0L) {
    // Two first writers must meet: BerkeleyJE, which lives in this one process, takes no lock on what is absent; on
    // other storage the LOCK of the unique index lets one of them create the position.
    graph.tx().rollback()
    synchronized (graph) {
        if (positionVertex() == null) {
            graph.addVertex(T.label, projectionLabel, 'uid', projection, 'applied_seq', 0L, 'ledger_offset', -1L,
                            'proposal_offset', -1L)
        }
        graph.tx().commit()
    }
    projectionVertex = positionVertex()
}
long applied = projectionVertex == null ? 0L : projectionVertex.value('applied_seq')
if (applied != wanted) {
    graph.tx().rollback()
    return ['conflict', applied]
}

def uids = rows.collectMany { [it[0], it[2]] } as Set
def found = g.V().has('uid', within(uids)).toList().collectEntries { [(it.value('uid')): it] }

// What changes of a cluster is counted here and written once: a property of a vertex is found among all that this
// transaction has added to the vertex, its new members included.
def tallies = [:]
def tally = { uid, vertex -> tallies.computeIfAbsent(uid) {
    [vertex: vertex, size: vertex.value('size'), exemplars: vertex.value('exemplars'), head: vertex.value('head'),
     since: vertex.value('since')]
} }

for (row in rows) {
    def (imageUid, imageId, clusterUid, clusterId, head, version, run, seq, walkUid, indexed) = row
    def image = found[imageUid]
    def edge = null
    long wasIndexed = 0L
    if (image != null) {
        def edges = image.edges(Direction.OUT, memberLabel)
        edge = edges.hasNext() ? edges.next() : null
        wasIndexed = image.value('indexed')
    }
    if (found[clusterUid] == null) {
        found[clusterUid] = graph.addVertex(T.label, clusterLabel, 'uid', clusterUid, 'cluster_id', clusterId,
                                            'head', head, 'size', 0L, 'exemplars', 0L, 'since', seq as long)
    }
    def cluster = tally(clusterUid, found[clusterUid])
    def left = edge?.inVertex()
    if (image == null) {
        image = graph.addVertex(T.label, imageLabel, 'uid', imageUid, 'image_id', imageId, 'version', version as long,
                                'run', run as long, 'decided_seq', seq as long, 'indexed', indexed as long,
                                'walk_uid', walkUid)
        found[imageUid] = image
    } else {
        image.property('version', version as long)
        image.property('run', run as long)
        image.property('decided_seq', seq as long)
        image.property('indexed', indexed as long)
        image.property('walk_uid', walkUid)
    }
    if (left == null || left.id() != cluster.vertex.id()) {
        if (left != null) {
            def leftUid = left.value('uid')
            found[leftUid] = left
            def before = tally(leftUid, left)
            if (before.size > 1 && before.head == imageId) {
                graph.tx().rollback()
                return ['head', imageId]
            }
            edge.remove()
            before.size -= 1
            before.exemplars -= wasIndexed
        }
        if (cluster.size == 0L) cluster.since = seq as long
        image.addEdge(memberLabel, cluster.vertex, 'seq', seq as long, 'member_id', imageId)
        cluster.size += 1
        cluster.exemplars += indexed as long
    } else {
        cluster.exemplars += (indexed as long) - wasIndexed
    }
    cluster.head = head
}

tallies.values().each { cluster ->
    if (cluster.size == 0L) {
        cluster.vertex.remove()
        return
    }
    ['size', 'exemplars', 'head', 'since'].each {
        if (cluster.vertex.value(it) != cluster[it]) cluster.vertex.property(it, cluster[it])
    }
}

projectionVertex.property('applied_seq', upto[0] as long)
projectionVertex.property('ledger_offset', upto[1] as long)
projectionVertex.property('proposal_offset', upto[2] as long)
graph.tx().commit()
return ['applied']
