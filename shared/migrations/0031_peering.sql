-- Peers that were made through a URL (auto-peering). Code from before survives: it takes them for peers like any other.

alter table peers
  -- Where the other node was asked to peer. Its endpoint is that node's word, not this node's choice; cleared when it becomes that.
  add column peering_url text;
