// Creates what is missing of the schema. Bindings: labels [image, cluster, projection, member]; dryRun.
// Answers 'changes' and these, one line each; or 'outdated' and the edge label that an older version made.
def (imageLabel, clusterLabel, projectionLabel, memberLabel) = labels
def changes = []
def mgmt = graph.openManagement()
try {
    def texts = ['uid', 'walk_uid', 'image_id', 'cluster_id', 'head', 'member_id', 'root', 'parent', 'parts']
    def numbers = ['version', 'run', 'decided_seq', 'indexed', 'size', 'exemplars', 'own_size', 'own_exemplars', 'since',
                   'seq', 'applied_seq', 'ledger_offset', 'proposal_offset', 'dropping', 'rebuilt_upto']
    (texts.collect { [it, String.class] } + numbers.collect { [it, Long.class] }).each { name, type ->
        if (mgmt.containsPropertyKey(name)) return
        changes << "property key ${name}".toString()
        def key = mgmt.makePropertyKey(name).dataType(type).cardinality(org.janusgraph.core.Cardinality.SINGLE).make()
        // The compare-and-set of the position also on storage without serializable transactions.
        if (name == 'applied_seq') mgmt.setConsistency(key, org.janusgraph.core.schema.ConsistencyModifier.LOCK)
    }
    if (!mgmt.containsGraphIndex('byUid')) {
        changes << 'unique index byUid'
        def index = mgmt.buildIndex('byUid', Vertex.class).addKey(mgmt.getPropertyKey('uid')).unique()
            .buildCompositeIndex()
        mgmt.setConsistency(index, org.janusgraph.core.schema.ConsistencyModifier.LOCK)
    }
    if (!mgmt.containsGraphIndex('byWalkUid')) {
        changes << 'index byWalkUid'
        mgmt.buildIndex('byWalkUid', Vertex.class).addKey(mgmt.getPropertyKey('walk_uid')).buildCompositeIndex()
    }
    [imageLabel, clusterLabel, projectionLabel].each {
        if (mgmt.containsVertexLabel(it)) return
        changes << "vertex label ${it}".toString()
        mgmt.makeVertexLabel(it).make()
    }
    // Pages are read in both directions, and an index serves the one it has. Without the fitting one JanusGraph applies the
    // limit before the order, and answers wrongly without a word: so an edge label that lacks one must not be used.
    def orders = [asc: Order.asc, desc: Order.desc]
    def indexOf = { suffix -> "${memberLabel}_by_seq_${suffix}".toString() }
    if (!mgmt.containsEdgeLabel(memberLabel)) {
        changes << "edge label ${memberLabel} with indexes ${orders.keySet().collect(indexOf).join(', ')}".toString()
        def member = mgmt.makeEdgeLabel(memberLabel).multiplicity(org.janusgraph.core.Multiplicity.MANY2ONE).make()
        orders.each { suffix, order ->
            mgmt.buildEdgeIndex(member, indexOf(suffix), Direction.IN, order, mgmt.getPropertyKey('seq'))
        }
    } else {
        def member = mgmt.getEdgeLabel(memberLabel)
        if (orders.keySet().any { !mgmt.containsRelationIndex(member, indexOf(it)) }) {
            mgmt.rollback()
            return ['outdated', memberLabel]
        }
    }
    if (dryRun || changes.isEmpty()) mgmt.rollback() else mgmt.commit()
} catch (Throwable failure) {
    mgmt.rollback()
    throw failure
}
return ['changes', *changes]
