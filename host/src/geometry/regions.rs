//! The linear regions of a network over a window of a plane, in f64: to look at, not to prove with.

use ndarray::{Array1, Array2};

use super::forms::{Forms, Wide};
use super::polygon::{Cut, Point, Polygon, cut};
use crate::error::{Error, Result};
use crate::network::Network;

/// Regions that are found at most.
pub const MAX_REGIONS: usize = 20_000;

/// A plane in the input space: two coordinates vary, the others stay.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// A point of it, one number an input.
    pub origin: Vec<f64>,
    /// The two inputs that vary; they are the plane's coordinates.
    pub axes: [usize; 2],
}

/// A rectangle of the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Lower ends of both coordinates.
    pub lo: Point,
    /// Upper ends.
    pub hi: Point,
}

/// A part of the window on which the network is affine.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Where it is.
    pub polygon: Polygon,
    /// On which side of its bend each neuron is that has one, layer by layer: true above.
    pub pattern: Vec<bool>,
    /// The network's outputs there, as functions of the plane's coordinates.
    pub outputs: Forms,
}

impl Plane {
    /// The inputs as functions of the plane's coordinates.
    fn forms(&self) -> Forms {
        let mut linear = Array2::zeros((self.origin.len(), 2));
        let mut constant = Array1::from(self.origin.clone());
        for (k, &axis) in self.axes.iter().enumerate() {
            linear[[axis, k]] = 1.0;
            constant[axis] = 0.0;
        }
        Forms { linear, constant }
    }

    /// The input at a point of the plane.
    pub fn input(&self, at: Point) -> Vec<f64> {
        let mut x = self.origin.clone();
        for (&axis, at) in self.axes.iter().zip(at) {
            x[axis] = at;
        }
        x
    }
}

impl Window {
    /// The square of half-width `extent` around a point.
    pub fn around(center: Point, extent: f64) -> Self {
        Window { lo: center.map(|x| x - extent), hi: center.map(|x| x + extent) }
    }

    /// Its corners, counter-clockwise.
    pub fn polygon(&self) -> Polygon {
        let (lo, hi) = (self.lo, self.hi);
        vec![lo, [hi[0], lo[1]], hi, [lo[0], hi[1]]]
    }
}

/// The linear regions of a network that meet the window, cut to it: together they fill it.
///
/// Neuron by neuron, layer by layer, each region so far is cut by the line on which the neuron
/// bends (paper 000, theorems 1 and 2). Slivers thinner than rounding stay with their neighbour.
///
/// # Errors
/// An activation that is not two lines meeting at 0, axes or an origin that do not fit the network, a window without an area, numbers that are not
/// finite, more than [`MAX_REGIONS`].
/// Work: two multiply-adds for each weight and region, and what cutting takes.
pub fn regions(network: &Network, plane: &Plane, window: &Window) -> Result<Vec<Piece>> {
    let (inputs, [i, j]) = (network.inputs, plane.axes);
    if plane.origin.len() != inputs || i >= inputs || j >= inputs || i == j {
        let message = format!("axes {i},{j} at a point of {} coordinates", plane.origin.len());
        let expected = format!("expected two different ones of the model's {inputs} inputs");
        return Err(Error::Usage(format!("{message}, {expected}")));
    }
    let layers = network.layers.iter().map(|layer| (layer.activation, layer.through));
    super::check_two_lines("linear regions", layers)?;
    let ends = window.lo.iter().chain(&window.hi);
    let flat = (0..2).any(|k| !(window.lo[k] < window.hi[k]));
    if flat || ends.chain(&plane.origin).any(|x| !x.is_finite()) {
        let message = format!("window from {:?} to {:?}", window.lo, window.hi);
        return Err(Error::Usage(format!("{message}, expected finite numbers and an area")));
    }
    let mut walk = Walk { layers: Wide::all(network), found: Vec::new() };
    walk.descend(0, window.polygon(), &plane.forms(), &[])?;
    Ok(walk.found)
}

struct Walk {
    layers: Vec<Wide>,
    found: Vec<Piece>,
}

impl Walk {
    /// Finds the pieces of a polygon on which layer `k` gets the affine functions `x`.
    fn descend(&mut self, k: usize, polygon: Polygon, x: &Forms, pattern: &[bool]) -> Result<()> {
        let Some(layer) = self.layers.get(k) else {
            self.found.push(Piece { polygon, pattern: pattern.to_vec(), outputs: x.clone() });
            return Ok(());
        };
        let z = x.through(layer);
        if z.linear.iter().chain(&z.constant).any(|v| !v.is_finite()) {
            let message = format!("layer {k}: the neurons overflow f64 within the window");
            return Err(Error::Usage(format!("{message}, expected finite numbers")));
        }
        if !layer.bends() {
            return self.descend(k + 1, polygon, &z, pattern);
        }
        let slope = layer.slope;
        for (polygon, sides) in self.cells(polygon, &z)? {
            let pattern = [pattern, &sides].concat();
            self.descend(k + 1, polygon, &z.clone().bend(slope, &sides), &pattern)?;
        }
        Ok(())
    }

    /// Cuts a polygon by all lines on which a function of `z` is 0.
    fn cells(&self, polygon: Polygon, z: &Forms) -> Result<Vec<(Polygon, Vec<bool>)>> {
        let mut cells = vec![(polygon, Vec::with_capacity(z.len()))];
        for i in 0..z.len() {
            let line = z.line(i);
            for at in 0..cells.len() {
                let (polygon, sides) = &mut cells[at];
                match cut(polygon, line) {
                    Cut::Above | Cut::Level => sides.push(true),
                    Cut::Below => sides.push(false),
                    Cut::Both(above, below) => {
                        let mut other = sides.clone();
                        other.push(false);
                        sides.push(true);
                        *polygon = above;
                        cells.push((below, other));
                    }
                }
            }
            if self.found.len() + cells.len() > MAX_REGIONS {
                let message = format!("more than {MAX_REGIONS} linear regions in the window");
                return Err(Error::Usage(format!("{message}, expected fewer: a smaller extent")));
            }
        }
        Ok(cells)
    }
}
