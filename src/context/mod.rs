//! What is known about an address or a name besides its traffic? Reputation, inventory, scans.
