//! What the engine computes on the shared networks, in few bits: the same on each target.
//!
//! Also a module of the host's tests, so that both run the same code.

use core::fmt;

use certus_engine::bounds::{
    Error, Method, Options, Portable, Semantics, Size, Workspace, argmax, forward, lower_bounds,
};
use certus_engine::certificate::{Verdict, verdict};
use certus_engine::region::{Norm, Region};
use certus_engine::simplex::{self, Query, Simplex};
use certus_engine::spec::Spec;

use crate::hash::Hash;
use crate::nets::{MOST, Net};
use crate::random::Random;

/// What is computed for each input of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The outputs.
    Forward,
    /// Lower bounds of the margins over the ball, by intervals.
    Ibp,
    /// The distances to the faces of the point's linear region.
    Simplex,
    /// Lower bounds of the margins over the ball, by CROWN.
    Crown,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 4] = [Step::Forward, Step::Ibp, Step::Simplex, Step::Crown];

    /// Whether it knows the network's activations.
    pub const fn knows(self, net: &Net) -> bool {
        net.linear || !matches!(self, Step::Simplex)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Forward => "forward",
            Step::Ibp => "ibp",
            Step::Simplex => "simplex",
            Step::Crown => "crown",
        }
    }

    /// Memory for it, blocks being of one row; `ends`: with the bounds of pre-activations.
    pub const fn size(self, net: &Net, ends: bool) -> Size {
        match self {
            Step::Forward => Size { floats: 2 * net.model.width(), indices: 0 },
            Step::Simplex => simplex::size(&net.model, 1),
            Step::Ibp | Step::Crown => Size::of_options(&net.model, &self.options(ends), 1),
        }
    }

    /// No more than [`Step::size`] of a workspace, so that blocks are of one row everywhere.
    pub fn cut<'w>(self, net: &Net, ends: bool, workspace: Workspace<'w>) -> Option<Workspace<'w>> {
        let size = self.size(net, ends);
        Some(Workspace {
            floats: workspace.floats.get_mut(..size.floats)?,
            indices: workspace.indices.get_mut(..size.indices)?,
        })
    }

    const fn options(self, ends: bool) -> Options {
        let method = if matches!(self, Step::Ibp) { Method::Ibp } else { Method::Crown };
        Options { semantics: Semantics::Deployed, ends, ..Options::new(method) }
    }
}

/// What a network and a step came to.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The network.
    pub net: Net,
    /// The step.
    pub step: Step,
    /// FNV-1a over the bits of every float that was computed.
    pub hash: u64,
    /// For how many inputs the margins were certified; not asked of forward passes.
    pub certified: u32,
    /// Counted multiply-adds.
    pub macs: u64,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { net, step, hash, certified, macs } = self;
        write!(f, "{} {} {hash:016x} inputs {}", net.name, step.name(), net.inputs)?;
        if *step != Step::Forward {
            write!(f, " certified {certified}")?;
        }
        write!(f, " macs {macs}")
    }
}

/// What a step came to, beside its bits.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Whether the class is certified on the ball; not asked of forward passes.
    pub certified: bool,
    /// Counted multiply-adds.
    pub macs: u64,
}

/// The line of `net` and `step`, computed in `workspace`, at least [`Step::size`]; with the bounds of
/// pre-activations if [`Net::ends`].
///
/// # Errors
/// The engine's.
pub fn line(net: &Net, step: Step, workspace: Workspace<'_>) -> Result<Line, Error> {
    let mut workspace = step.cut(net, net.ends, workspace).ok_or(Error::Workspace)?;
    let mut hash = Hash::new();
    let (mut certified, mut macs) = (0, 0);
    for index in 0..net.inputs {
        let sample = Sample::new(net, index, workspace.reborrow())?;
        let outcome = sample.run(step, net.ends, workspace.reborrow(), Some(&mut hash))?;
        certified += u32::from(outcome.certified);
        macs += outcome.macs;
    }
    Ok(Line { net: *net, step, hash: hash.value(), certified, macs })
}

/// An input, and the class that the network gives it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    net: Net,
    x: [f32; MOST[0]],
    radius: f64,
    class: usize,
}

impl Sample {
    /// The `index`-th input of `net`; `workspace` for a forward pass.
    ///
    /// # Errors
    /// [`Error::Workspace`].
    pub fn new(net: &Net, index: u32, workspace: Workspace<'_>) -> Result<Self, Error> {
        // Radii that fall by half, so that every method certifies some inputs and not others.
        let radius = net.radius / f64::from(1u32 << (index % 8));
        let mut sample = Self { net: *net, x: [0.0; MOST[0]], radius, class: 0 };
        let mut random = Random(index);
        random.next();
        sample.x.fill_with(|| random.next());
        let mut out = [0.0; MOST[1]];
        let (out, _) = sample.outputs(workspace, &mut out).ok_or(Error::Workspace)?;
        sample.class = argmax(out).ok_or(Error::Workspace)?;
        Ok(sample)
    }

    fn x(&self) -> &[f32] {
        self.x.get(..self.net.model.inputs()).unwrap_or(&[])
    }

    /// The outputs, and the multiply-adds that they took.
    fn outputs<'o>(
        &self,
        workspace: Workspace<'_>,
        out: &'o mut [f32],
    ) -> Option<(&'o [f32], u64)> {
        let out = out.get_mut(..self.net.model.outputs())?;
        let macs = forward(&Portable, &self.net.model, self.x(), workspace.floats, out)?;
        Some((out, macs))
    }

    /// Runs one step, with the bounds of pre-activations if `ends`; the bits go to `hash`.
    ///
    /// # Errors
    /// The engine's.
    pub fn run(
        &self,
        step: Step,
        ends: bool,
        workspace: Workspace<'_>,
        hash: Option<&mut Hash>,
    ) -> Result<Outcome, Error> {
        let model = &self.net.model;
        let mut out = [0.0; MOST[1]];
        match step {
            Step::Forward => {
                let (out, macs) = self.outputs(workspace, &mut out).ok_or(Error::Workspace)?;
                if let Some(hash) = hash {
                    hash.floats(out);
                }
                Ok(Outcome { certified: false, macs })
            }
            Step::Ibp | Step::Crown => {
                let region = Region::ball(self.x(), self.radius, Norm::Linf);
                let spec = Spec::Margins { class: self.class };
                let out = out.get_mut(..spec.count(model.outputs())).ok_or(Error::Workspace)?;
                let (arith, options) = (&mut Portable, step.options(ends));
                let bounds = lower_bounds(arith, model, &region, &spec, &options, workspace, out)?;
                if let Some(hash) = hash {
                    for floats in [&*out, bounds.lo, bounds.hi] {
                        hash.floats(floats);
                    }
                }
                let certified = verdict(out) == Verdict::Certified;
                Ok(Outcome { certified, macs: bounds.work.macs() })
            }
            Step::Simplex => {
                let query = Query {
                    semantics: Semantics::Deployed,
                    ..Query::margins(self.x(), Norm::Linf, self.class)
                };
                let mut nearest = [0.0; MOST[0]];
                let nearest = nearest.get_mut(..model.inputs()).ok_or(Error::Workspace)?;
                let found: Simplex<2> =
                    simplex::simplex(&mut Portable, model, &query, workspace, nearest)?;
                if let Some(hash) = hash {
                    hash.floats(nearest);
                    hash.floats(&[found.value, found.radius()]);
                    for face in found.facets.as_slice().iter().chain(found.decisions.as_slice()) {
                        hash.words([face.layer as u32, face.row as u32, face.distance.to_bits()]);
                    }
                }
                let certified = f64::from(found.radius()) > self.radius;
                Ok(Outcome { certified, macs: found.work.macs() })
            }
        }
    }
}
