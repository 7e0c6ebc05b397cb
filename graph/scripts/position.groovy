// The applied position. Bindings: projection uid. Answers [seq, ledger offset, proposal offset] or nothing.
g.V().has('uid', projection).toList().collectMany {
    if (it.property('dropping').isPresent()) throw new IllegalStateException('the graph is being dropped, to be rebuilt')
    [it.value('applied_seq'), it.value('ledger_offset'), it.value('proposal_offset')]
}
