//! A call graph, and the deepest path through it.

use std::collections::BTreeMap;

/// A function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its symbol.
    pub name: String,
    /// Bytes that it takes off the stack.
    pub frame: u64,
    /// The addresses of what it calls or jumps to.
    pub calls: Vec<u32>,
    /// Why its frame or its calls cannot be told.
    pub refused: Option<String>,
}

/// The deepest path from a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deepest {
    /// Bytes of all frames on it, the root's too.
    pub bytes: u64,
    /// Its functions, by address.
    pub path: Vec<u32>,
}

/// Functions by their addresses.
#[derive(Debug, Default)]
pub struct Graph(pub BTreeMap<u32, Node>);

impl Graph {
    /// The deepest path from `root`: no chain of calls takes more stack than `bytes`, a jump being
    /// counted as a call.
    ///
    /// # Errors
    /// What is reached and cannot be bounded: recursion, a call of what nobody knows, an unknown
    /// frame.
    pub fn deepest(&self, root: u32) -> Result<Deepest, String> {
        self.from(root, &mut Vec::new(), &mut BTreeMap::new())
    }

    fn from(
        &self,
        at: u32,
        above: &mut Vec<u32>,
        known: &mut BTreeMap<u32, Deepest>,
    ) -> Result<Deepest, String> {
        if let Some(deepest) = known.get(&at) {
            return Ok(deepest.clone());
        }
        if let Some(first) = above.iter().position(|address| *address == at) {
            let cycle = above[first..].iter().chain([&at]);
            let names: Vec<&str> = cycle.map(|address| self.name(*address)).collect();
            return Err(format!("recursion: {}", names.join(" calls ")));
        }
        let Some(node) = self.0.get(&at) else {
            let caller = above.last().map_or("the root", |address| self.name(*address));
            return Err(format!("{caller}: calls {at:#x}, where no function begins"));
        };
        if let Some(reason) = &node.refused {
            return Err(format!("{}: {reason}", node.name));
        }
        above.push(at);
        let mut below = Deepest { bytes: 0, path: Vec::new() };
        for callee in &node.calls {
            let found = self.from(*callee, above, known)?;
            if found.bytes > below.bytes || below.path.is_empty() {
                below = found;
            }
        }
        above.pop();
        let mut path = vec![at];
        path.extend(below.path);
        let deepest = Deepest { bytes: node.frame + below.bytes, path };
        known.insert(at, deepest.clone());
        Ok(deepest)
    }

    /// The symbol at an address.
    pub fn name(&self, at: u32) -> &str {
        self.0.get(&at).map_or("?", |node| &node.name)
    }

    /// The one function with this symbol or, mangled, with this part in it.
    pub fn find(&self, symbol: &str) -> Result<u32, String> {
        let mangled = |name: &str| name.starts_with("_ZN") || name.starts_with("_R");
        let with = |fits: &dyn Fn(&str) -> bool| -> Vec<u32> {
            self.0.iter().filter(|(_, node)| fits(&node.name)).map(|(at, _)| *at).collect()
        };
        let mut found = with(&|name| name == symbol);
        if found.is_empty() {
            found = with(&|name| mangled(name) && name.contains(symbol));
        }
        match *found {
            [at] => Ok(at),
            _ => Err(format!("{} functions are {symbol}", found.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: &[(u32, &str, u64, &[u32])]) -> Graph {
        let node = |&(at, name, frame, calls): &(u32, &str, u64, &[u32])| {
            let calls = calls.to_vec();
            (at, Node { name: name.to_owned(), frame, calls, refused: None })
        };
        Graph(nodes.iter().map(node).collect())
    }

    #[test]
    fn the_deepest_path_is_found() {
        let graph = graph(&[
            (1, "root", 8, &[2, 3]),
            (2, "wide", 100, &[4]),
            (3, "long", 40, &[5, 4]),
            (4, "leaf", 0, &[]),
            (5, "deep", 64, &[4]),
            (9, "loop", 1, &[9]),
        ]);
        assert_eq!(graph.deepest(1), Ok(Deepest { bytes: 112, path: vec![1, 3, 5, 4] }));
        assert_eq!(graph.deepest(2), Ok(Deepest { bytes: 100, path: vec![2, 4] }));
        assert_eq!(graph.deepest(4), Ok(Deepest { bytes: 0, path: vec![4] }));
    }

    #[test]
    fn what_cannot_be_bounded_is_refused_by_name() {
        let mut graph = graph(&[
            (1, "root", 8, &[2]),
            (2, "even", 8, &[3]),
            (3, "odd", 8, &[2]),
            (4, "self", 8, &[4]),
            (5, "lost", 8, &[77]),
            (6, "caller", 8, &[7]),
            (7, "table", 8, &[]),
        ]);
        assert_eq!(graph.deepest(1).unwrap_err(), "recursion: even calls odd calls even");
        assert_eq!(graph.deepest(4).unwrap_err(), "recursion: self calls self");
        assert_eq!(graph.deepest(5).unwrap_err(), "lost: calls 0x4d, where no function begins");
        assert!(graph.deepest(6).is_ok());
        graph.0.get_mut(&7).unwrap().refused = Some("an indirect call".to_owned());
        assert_eq!(graph.deepest(6).unwrap_err(), "table: an indirect call");
        assert!(graph.deepest(8).is_err());
    }

    #[test]
    fn roots_are_found_by_symbol() {
        let graph = graph(&[
            (1, "main", 0, &[]),
            (2, "_ZN7figures18__cortex_m_rt_main17h0E", 0, &[]),
            (3, "_RNvCs3vVmyoaXZYG_7figures3run", 0, &[]),
        ]);
        assert_eq!(graph.find("main"), Ok(1));
        assert_eq!(graph.find("7figures3run"), Ok(3));
        assert_eq!(graph.find("7figures").unwrap_err(), "2 functions are 7figures");
        assert!(graph.find("8nowhere3run").is_err());
    }
}
