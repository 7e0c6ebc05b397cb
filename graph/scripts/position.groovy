// The applied position. Bindings: projection uid. Answers [seq, ledger offset, proposal offset] or nothing.
g.V().has('uid', projection).toList().collectMany {
    [it.value('applied_seq'), it.value('ledger_offset'), it.value('proposal_offset')]
}
