//! Which packets are one conversation? Key, table, TCP state, timeouts, reassembly, fragments.
