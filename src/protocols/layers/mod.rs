//! Layers of a packet: links, tunnels, IP. One file per link or tunnel.
