//! The walk through the layers, one cell at a time.

use certus::network::Network;

use super::best::{Best, Fraction};
use super::cell::{Cell, Sides};
use super::forms::{Forms, Layer, Row, value};
use super::sphere::Sphere;
use super::start::start;
use super::{Analysis, Range, spec_layer};
use crate::region::{Norm, Region};

/// A minimum, and the minimum of the negated function.
type Pair = [Best; 2];

struct Walk {
    /// The network's layers, then the specification.
    layers: Vec<Layer>,
    sphere: Option<Sphere>,
    ranges: Vec<Vec<Pair>>,
    /// Each layer's power of two.
    exponents: Vec<i64>,
    /// Whether hidden ranges are wanted.
    all: bool,
    cells: usize,
}

pub(super) fn walk(
    network: &Network,
    region: &Region,
    spec: &[Vec<f32>],
    all: bool,
) -> Option<Analysis> {
    assert_eq!(network.inputs, region.dim(), "inputs of network and region");
    assert!(!network.layers.is_empty() && !spec.is_empty(), "nothing to analyse");
    let spec = spec_layer(network.outputs(), spec);
    let layers = || network.layers.iter().chain([&spec]);
    let mut walk = Walk {
        layers: layers().map(Layer::new).collect(),
        sphere: match region.as_ball() {
            Some((center, eps, Norm::L2)) => Some(Sphere::new(center, eps)),
            _ => None,
        },
        ranges: layers().map(|l| vec![Pair::default(); l.rows]).collect(),
        exponents: vec![0; network.layers.len() + 1],
        all,
        cells: 0,
    };
    walk.layer(0, start(region)?, &Forms::inputs(network.inputs));
    walk.finish()
}

impl Walk {
    fn layer(&mut self, k: usize, cell: Cell, x: &Forms) {
        let z = self.layers[k].affine(x);
        self.exponents[k] = z.exponent;
        let last = k + 1 == self.layers.len();
        if self.all || last {
            self.track(k, &cell, &z);
        }
        if last {
            self.cells += 1;
        } else {
            self.units(k, cell, &z, &mut Vec::with_capacity(z.rows.len()));
        }
    }

    /// Cuts the cell by the units of layer `k` whose signs are not yet in `positive`.
    fn units(&mut self, k: usize, cell: Cell, z: &Forms, positive: &mut Vec<bool>) {
        let known = positive.len();
        while positive.len() < z.rows.len() {
            if !self.layers[k].bends(positive.len()) {
                positive.push(true);
                continue;
            }
            match cell.split(&z.rows[positive.len()]) {
                Sides::Above => positive.push(true),
                Sides::Below => positive.push(false),
                Sides::Both(above, below) => {
                    let missed = |cell: &Cell| self.sphere.as_ref().is_some_and(|s| s.misses(cell));
                    let parts = [(above, true), (below, false)];
                    let parts: Vec<_> =
                        parts.into_iter().filter(|(cell, _)| !missed(cell)).collect();
                    for (part, sign) in parts {
                        positive.push(sign);
                        self.units(k, part, z, positive);
                        positive.pop();
                    }
                    positive.truncate(known);
                    return;
                }
            }
        }
        let x = self.layers[k].activate(z, positive);
        self.layer(k + 1, cell, &x);
        positive.truncate(known);
    }

    fn track(&mut self, k: usize, cell: &Cell, z: &Forms) {
        let negated = |row: &Row| row.iter().map(|c| -c).collect::<Row>();
        if let Some(sphere) = &self.sphere {
            let cut = sphere.cut(cell);
            for (row, [least, most]) in z.rows.iter().zip(&mut self.ranges[k]) {
                cut.minimise(row, least);
                cut.minimise(&negated(row), most);
            }
            return;
        }
        for (row, [least, most]) in z.rows.iter().zip(&mut self.ranges[k]) {
            for vertex in &cell.vertices {
                let height = value(row, &vertex.at);
                most.exact(Fraction::new(-&height, vertex.at.last()), || vertex.at.clone());
                least.exact(Fraction::new(height, vertex.at.last()), || vertex.at.clone());
            }
        }
    }

    /// `None` if no point of the region was met: it is empty.
    fn finish(self) -> Option<Analysis> {
        let range = |pair: &Pair, exponent| {
            let [min, max] = [pair[0].finish(exponent, false)?, pair[1].finish(exponent, true)?];
            Some(Range { min, max })
        };
        let each = self.ranges.iter().zip(&self.exponents);
        let mut pre: Vec<Vec<Range>> = each
            .map(|(layer, &exponent)| {
                layer.iter().filter_map(|pair| range(pair, exponent)).collect()
            })
            .collect();
        let spec = pre.pop()?;
        (!spec.is_empty()).then_some(Analysis { spec, pre, cells: self.cells })
    }
}
