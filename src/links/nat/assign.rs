//! One-to-one assignment at least cost: of the connections inside and outside that could be the same, which are?
//!
//! Per connected component of the candidates. Small ones are solved exactly (the Hungarian method by shortest augmenting paths: Kuhn 1955, Munkres
//! 1957, in the O(n^3) form of Jonker and Volgenant); of large ones the cheapest pairs are taken first and exchanged two by two while that saves.

use std::collections::HashMap;

/// Nodes of a component up to which it is solved exactly.
const EXACT: usize = 300;
/// Passes of exchanges over a large component.
const PASSES: usize = 8;

/// A pair that could be the same, by node numbers of either side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Inside.
    pub inside: u32,
    /// Outside.
    pub outside: u32,
    /// What it costs; less is better.
    pub cost: f32,
}

/// A pair that was chosen, and how much more the best alternative at either end costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chosen {
    /// The pair.
    pub edge: Edge,
    /// How much more.
    pub margin: f32,
}

/// Chooses pairs so that each node is in at most one and the sum of costs is least, where to leave a node alone costs `limit`. Edges that cost
/// more than `limit` are not chosen. Deterministic; in order of the inside node.
pub fn assign(mut edges: Vec<Edge>, limit: f32) -> Vec<Chosen> {
    edges.retain(|e| e.cost <= limit);
    let mut sets = Sets::default();
    for edge in &edges {
        sets.join(u64::from(edge.inside) << 1, u64::from(edge.outside) << 1 | 1);
    }
    let mut parts: Vec<(u32, Edge)> = edges.into_iter().map(|e| (sets.root(u64::from(e.inside) << 1), e)).collect();
    parts.sort_by(|a, b| (a.0, a.1.inside, a.1.outside).cmp(&(b.0, b.1.inside, b.1.outside)).then(a.1.cost.total_cmp(&b.1.cost)));
    // Of several edges between two nodes the cheapest.
    parts.dedup_by_key(|(_, e)| (e.inside, e.outside));
    let mut out = Vec::new();
    let mut edges: Vec<Edge> = Vec::new();
    for part in parts.chunk_by(|a, b| a.0 == b.0) {
        edges.clear();
        edges.extend(part.iter().map(|(_, e)| *e));
        component(&edges, limit, &mut out);
    }
    out.sort_unstable_by_key(|c| (c.edge.inside, c.edge.outside));
    out
}

/// Disjoint sets of nodes.
#[derive(Default)]
struct Sets {
    numbers: HashMap<u64, u32, foldhash::fast::FixedState>,
    parents: Vec<u32>,
}

impl Sets {
    fn number(&mut self, node: u64) -> u32 {
        let next = self.parents.len() as u32;
        let n = *self.numbers.entry(node).or_insert(next);
        if n == next {
            self.parents.push(next);
        }
        n
    }
    fn find(&mut self, mut n: u32) -> u32 {
        while self.parents[n as usize] != n {
            let up = self.parents[self.parents[n as usize] as usize];
            self.parents[n as usize] = up;
            n = up;
        }
        n
    }
    fn root(&mut self, node: u64) -> u32 {
        let n = self.number(node);
        self.find(n)
    }
    fn join(&mut self, a: u64, b: u64) {
        let (a, b) = (self.root(a), self.root(b));
        let (low, high) = (a.min(b), a.max(b));
        self.parents[high as usize] = low;
    }
}

fn component(edges: &[Edge], limit: f32, out: &mut Vec<Chosen>) {
    if let [edge] = edges {
        out.push(Chosen { edge: *edge, margin: limit - edge.cost });
        return;
    }
    let mut insides: Vec<u32> = edges.iter().map(|e| e.inside).collect();
    let mut outsides: Vec<u32> = edges.iter().map(|e| e.outside).collect();
    for nodes in [&mut insides, &mut outsides] {
        nodes.sort_unstable();
        nodes.dedup();
    }
    let place = |nodes: &[u32], node: u32| nodes.partition_point(|n| *n < node);
    let local: Vec<(usize, usize, f32)> =
        edges.iter().map(|e| (place(&insides, e.inside), place(&outsides, e.outside), e.cost)).collect();
    let chosen = if insides.len() + outsides.len() <= EXACT {
        exact(&local, insides.len(), outsides.len(), limit)
    } else {
        greedy(&local, insides.len(), outsides.len(), limit)
    };
    // The two cheapest edges at each node: the alternative of a chosen one is the other.
    let best = |nodes: usize, side: &dyn Fn(&(usize, usize, f32)) -> usize| {
        let mut best = vec![[(limit, usize::MAX); 2]; nodes];
        for (n, edge) in local.iter().enumerate() {
            let slot = &mut best[side(edge)];
            if edge.2 < slot[0].0 || slot[0].1 == usize::MAX {
                *slot = [(edge.2, n), slot[0]];
            } else if edge.2 < slot[1].0 || slot[1].1 == usize::MAX {
                slot[1] = (edge.2, n);
            }
        }
        best
    };
    let (at_inside, at_outside) = (best(insides.len(), &|e| e.0), best(outsides.len(), &|e| e.1));
    for n in chosen {
        let (i, o, cost) = local[n];
        let other = |two: &[(f32, usize); 2]| if two[0].1 == n { two[1].0 } else { two[0].0 };
        let alternative = other(&at_inside[i]).min(other(&at_outside[o])).min(limit);
        out.push(Chosen { edge: Edge { inside: insides[i], outside: outsides[o], cost }, margin: alternative - cost });
    }
}

/// The edges of the cheapest assignment: rows are inside nodes, columns outside nodes and for each row one that leaves it alone.
fn exact(edges: &[(usize, usize, f32)], rows: usize, columns: usize, limit: f32) -> Vec<usize> {
    let width = columns + rows;
    // No edge costs more than any that is there can save, so none of these is chosen.
    let never = f64::from(limit) * 4.0 * (rows as f64 + 1.0) + 1e6;
    let mut costs = vec![never; rows * width];
    let mut numbers = vec![usize::MAX; rows * columns];
    for (n, (i, o, cost)) in edges.iter().enumerate() {
        costs[i * width + o] = f64::from(*cost);
        numbers[i * columns + o] = n;
    }
    for i in 0..rows {
        costs[i * width + columns + i] = f64::from(limit);
    }
    // Columns and rows from 1; 0 is where a path begins.
    let (mut of_row, mut of_column) = (vec![0.0; rows + 1], vec![0.0; width + 1]);
    let (mut taken, mut way) = (vec![0usize; width + 1], vec![0usize; width + 1]);
    for row in 1..=rows {
        taken[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; width + 1];
        let mut done = vec![false; width + 1];
        loop {
            done[column] = true;
            let (at, mut delta, mut next) = (taken[column], f64::INFINITY, 0);
            for j in 1..=width {
                if done[j] {
                    continue;
                }
                let reduced = costs[(at - 1) * width + j - 1] - of_row[at] - of_column[j];
                if reduced < least[j] {
                    least[j] = reduced;
                    way[j] = column;
                }
                if least[j] < delta {
                    delta = least[j];
                    next = j;
                }
            }
            for j in 0..=width {
                if done[j] {
                    of_row[taken[j]] += delta;
                    of_column[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            column = next;
            if taken[column] == 0 {
                break;
            }
        }
        while column != 0 {
            let before = way[column];
            taken[column] = taken[before];
            column = before;
        }
    }
    let chosen = (1..=columns).filter(|j| taken[*j] != 0).map(|j| numbers[(taken[j] - 1) * columns + j - 1]);
    chosen.filter(|n| *n != usize::MAX).collect()
}

/// The cheapest first, then exchanges of two pairs' ends while that saves.
fn greedy(edges: &[(usize, usize, f32)], rows: usize, columns: usize, limit: f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by(|a, b| edges[*a].2.total_cmp(&edges[*b].2).then(a.cmp(b)));
    let (mut of_row, mut of_column) = (vec![usize::MAX; rows], vec![usize::MAX; columns]);
    for n in order {
        let (i, o, _) = edges[n];
        if of_row[i] == usize::MAX && of_column[o] == usize::MAX {
            of_row[i] = n;
            of_column[o] = n;
        }
    }
    let between: HashMap<(usize, usize), usize> = edges.iter().enumerate().map(|(n, (i, o, _))| ((*i, *o), n)).collect();
    for _ in 0..PASSES {
        let mut saved = false;
        for (n, (i, o, new)) in edges.iter().enumerate() {
            let (a, b) = (of_row[*i], of_column[*o]);
            if a == n {
                continue;
            }
            // i leaves o', o leaves i': what they had may fit each other.
            let left = (a != usize::MAX && b != usize::MAX).then(|| (edges[b].0, edges[a].1));
            let rest = left.and_then(|pair| between.get(&pair).copied()).unwrap_or(usize::MAX);
            // Each pair that is there saves one node on either side from being alone.
            let pairs = |n: usize| if n == usize::MAX { 0.0 } else { limit };
            let before = cost_of(a, edges) + cost_of(b, edges) - pairs(a) - pairs(b);
            let after = new + cost_of(rest, edges) - limit - pairs(rest);
            if after + 1e-3 < before {
                for old in [a, b] {
                    if old != usize::MAX {
                        of_row[edges[old].0] = usize::MAX;
                        of_column[edges[old].1] = usize::MAX;
                    }
                }
                for now in [n, rest] {
                    if now != usize::MAX {
                        of_row[edges[now].0] = now;
                        of_column[edges[now].1] = now;
                    }
                }
                saved = true;
            }
        }
        if !saved {
            break;
        }
    }
    of_row.into_iter().filter(|n| *n != usize::MAX).collect()
}

fn cost_of(n: usize, edges: &[(usize, usize, f32)]) -> f32 {
    if n == usize::MAX { 0.0 } else { edges[n].2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(inside: u32, outside: u32, cost: f32) -> Edge {
        Edge { inside, outside, cost }
    }
    fn total(chosen: &[Chosen], nodes: usize, limit: f32) -> f32 {
        chosen.iter().map(|c| c.edge.cost).sum::<f32>() + limit * (nodes - chosen.len()) as f32
    }
    /// The least sum by trying everything.
    fn brute(edges: &[Edge], row: u32, rows: u32, used: u64, limit: f32) -> f32 {
        if row == rows {
            return 0.0;
        }
        let mut best = limit + brute(edges, row + 1, rows, used, limit);
        for e in edges.iter().filter(|e| e.inside == row && used & 1 << e.outside == 0 && e.cost <= limit) {
            best = best.min(e.cost + brute(edges, row + 1, rows, used | 1 << e.outside, limit));
        }
        best
    }
    struct Draw(u64);
    impl Draw {
        fn next(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }
    }

    #[test]
    fn the_cheapest_whole_is_chosen_and_not_the_cheapest_pair() {
        let got = assign(vec![edge(0, 0, 1.0), edge(0, 1, 2.0), edge(1, 0, 2.0), edge(1, 1, 60.0)], 100.0);
        let pairs: Vec<(u32, u32)> = got.iter().map(|c| (c.edge.inside, c.edge.outside)).collect();
        assert_eq!(pairs, [(0, 1), (1, 0)]);
        assert_eq!(got[0].margin, -1.0);
        let alone = assign(vec![edge(7, 9, 30.0), edge(8, 1, 101.0)], 100.0);
        assert_eq!(alone, [Chosen { edge: edge(7, 9, 30.0), margin: 70.0 }]);
    }

    #[test]
    fn small_components_are_exact_and_large_ones_nearly_so() {
        for seed in 0..300 {
            let mut draw = Draw(seed);
            let (rows, columns) = (draw.next(6) as u32 + 1, draw.next(6) as u32 + 1);
            let mut edges = Vec::new();
            for i in 0..rows {
                for o in 0..columns {
                    if draw.next(3) > 0 {
                        edges.push(edge(i, o, draw.next(120) as f32 - 10.0));
                    }
                }
            }
            let got = assign(edges.clone(), 100.0);
            assert!(
                got.iter().all(|c| got
                    .iter()
                    .filter(|o| o.edge.inside == c.edge.inside || o.edge.outside == c.edge.outside)
                    .count()
                    == 1)
            );
            assert_eq!(total(&got, rows as usize, 100.0), brute(&edges, 0, rows, 0, 100.0), "seed {seed}: {edges:?}");
        }
        // A band of candidates like a busy server's: far beyond what is solved exactly.
        let mut draw = Draw(1);
        let mut edges = Vec::new();
        for i in 0..2_000u32 {
            for o in i.saturating_sub(2)..(i + 3).min(2_000) {
                edges.push(edge(i, o, if i == o { draw.next(20) as f32 } else { 20.0 + draw.next(60) as f32 }));
            }
        }
        let got = assign(edges, 100.0);
        let right = got.iter().filter(|c| c.edge.inside == c.edge.outside).count();
        assert!(right >= 1_990, "{right} of 2000");
    }
}
