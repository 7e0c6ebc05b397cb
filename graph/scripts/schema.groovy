// Creates what is missing of the schema. Bindings: labels [image, cluster, projection, member]; dryRun.
// Answers the changes, one line each.
import org.janusgraph.core.Cardinality
import org.janusgraph.core.Multiplicity
import org.janusgraph.core.schema.ConsistencyModifier

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
        def key = mgmt.makePropertyKey(name).dataType(type).cardinality(Cardinality.SINGLE).make()
        // The compare-and-set of the position also on storage without serializable transactions.
        if (name == 'applied_seq') mgmt.setConsistency(key, ConsistencyModifier.LOCK)
    }
    if (!mgmt.containsGraphIndex('byUid')) {
        changes << 'unique index byUid'
        def index = mgmt.buildIndex('byUid', Vertex.class).addKey(mgmt.getPropertyKey('uid')).unique()
            .buildCompositeIndex()
        mgmt.setConsistency(index, ConsistencyModifier.LOCK)
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
    if (!mgmt.containsEdgeLabel(memberLabel)) {
        changes << "edge label ${memberLabel} with index ${memberLabel}_by_seq".toString()
        def member = mgmt.makeEdgeLabel(memberLabel).multiplicity(Multiplicity.MANY2ONE).make()
        mgmt.buildEdgeIndex(member, "${memberLabel}_by_seq".toString(), Direction.IN, Order.asc,
                            mgmt.getPropertyKey('seq'))
    }
    if (dryRun || changes.isEmpty()) mgmt.rollback() else mgmt.commit()
} catch (Throwable failure) {
    mgmt.rollback()
    throw failure
}
return changes
