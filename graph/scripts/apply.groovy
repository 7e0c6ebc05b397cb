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
def touched = [:]

for (row in rows) {
    def (imageUid, imageId, clusterUid, clusterId, head, version, run, seq, walkUid, indexed) = row
    def image = found[imageUid]
    def edge = null
    long wasIndexed = 0L
    if (image != null) {
        def edges = image.edges(Direction.OUT, memberLabel)
        edge = edges.hasNext() ? edges.next() : null
        wasIndexed = image.value('indexed')
    } else {
        image = graph.addVertex(T.label, imageLabel, 'uid', imageUid, 'image_id', imageId)
        found[imageUid] = image
    }
    def left = edge?.inVertex()
    def cluster = found[clusterUid]
    if (cluster == null) {
        cluster = graph.addVertex(T.label, clusterLabel, 'uid', clusterUid, 'cluster_id', clusterId,
                                  'head', head, 'size', 0L, 'exemplars', 0L, 'since', seq as long)
        found[clusterUid] = cluster
    }
    if (left == null || left.id() != cluster.id()) {
        if (left != null) {
            long size = left.value('size')
            if (size > 1 && left.value('head') == imageId) {
                graph.tx().rollback()
                return ['head', imageId]
            }
            edge.remove()
            left.property('size', size - 1)
            left.property('exemplars', left.value('exemplars') - wasIndexed)
            touched[left.value('uid')] = left
            found[left.value('uid')] = left
        }
        long size = cluster.value('size')
        if (size == 0L) cluster.property('since', seq as long)
        image.addEdge(memberLabel, cluster, 'seq', seq as long, 'member_id', imageId)
        cluster.property('size', size + 1)
        cluster.property('exemplars', cluster.value('exemplars') + (indexed as long))
    } else if (wasIndexed != indexed) {
        cluster.property('exemplars', cluster.value('exemplars') - wasIndexed + (indexed as long))
    }
    if (cluster.value('head') != head) cluster.property('head', head)
    image.property('version', version as long)
    image.property('run', run as long)
    image.property('decided_seq', seq as long)
    image.property('indexed', indexed as long)
    image.property('walk_uid', walkUid)
}

touched.values().findAll { it.value('size') == 0L }.each { it.remove() }

projectionVertex.property('applied_seq', upto[0] as long)
projectionVertex.property('ledger_offset', upto[1] as long)
projectionVertex.property('proposal_offset', upto[2] as long)
graph.tx().commit()
return ['applied']
