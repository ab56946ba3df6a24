//! One thread's bounds: the engine with memory of its own, reused from call to call.

use certus_engine::bounds::{
    self, Error, Given, Method, Options, OwnSlopes, Portable, Semantics, Size, Work, Workspace,
    argmax, forward, lower_bounds_given, lower_bounds_own,
};
use certus_engine::model::Model;
use certus_engine::region::Region;
use certus_engine::simplex::{self, Query, Simplex, Violation, nearest_violation};
use certus_engine::spec::Spec;

use super::{Arith, Fast};

/// Neurons of a block: enough for the GEMM to run at speed, little enough for the cache.
const BLOCK: usize = 512;

/// Models whose layers are all smaller than this stay on one core.
const PARALLEL_WEIGHTS: usize = 1 << 15;

/// Bounds of one model, with the working memory they need.
#[derive(Debug)]
pub struct Runner<'m> {
    model: Model<'m>,
    arith: Arith,
    /// Most rows of a block.
    block: usize,
    parallel: bool,
    floats: Vec<f32>,
    indices: Vec<u32>,
    /// Memory of the calls that carry functions forward, and of those with slopes for each row.
    carried: (Vec<f32>, Vec<u32>),
    /// Coefficients of the nearest decision that it found last.
    nearest: Vec<f32>,
}

/// Rows of a block of the simplex certificate.
const FEW: usize = 32;

/// Bounds with what was known on the way.
#[derive(Clone, Debug)]
pub struct Report {
    /// Lower bound of each specification row.
    pub lower: Vec<f32>,
    /// Pre-activation ends of each layer.
    pub layers: Vec<Vec<(f32, f32)>>,
    /// Counted work.
    pub work: Work,
}

impl<'m> Runner<'m> {
    /// For `model`; `parallel` if this is the only runner and may use all cores where that pays.
    pub fn new(model: Model<'m>, parallel: bool) -> Self {
        let parallel = parallel && model.layers().any(|l| l.rows * l.cols >= PARALLEL_WEIGHTS);
        let arith = Arith::Fast(Box::new(Fast::new(model.depth(), parallel)));
        Self::with(model, arith, parallel, BLOCK)
    }

    /// As on a device: the portable arithmetic on blocks of one row, bit for bit.
    pub fn device(model: Model<'m>) -> Self {
        Self::with(model, Arith::Portable(Portable), false, 1)
    }

    fn with(model: Model<'m>, arith: Arith, parallel: bool, block: usize) -> Self {
        let block = block.min(model.width()).max(1);
        let size = Size::of(&model, Method::Crown, block);
        let few = simplex::size(&model, block.min(FEW));
        // A replay takes a point and the outputs' ends beside a block.
        let replay = model.inputs() + 2 * model.outputs();
        Self {
            model,
            arith,
            block,
            parallel,
            floats: vec![0.0; (size.floats + replay).max(few.floats)],
            indices: vec![0; size.indices.max(few.indices)],
            carried: Default::default(),
            nearest: vec![0.0; model.inputs()],
        }
    }

    /// The model.
    pub fn model(&self) -> &Model<'m> {
        &self.model
    }

    /// Lower bounds of the rows of `spec` over `region` into `out`, see
    /// [`certus_engine::bounds::lower_bounds`].
    ///
    /// # Errors
    /// The engine's.
    pub fn lower_bounds(
        &mut self,
        region: &Region<'_>,
        spec: &Spec<'_>,
        options: &Options,
        out: &mut Vec<f32>,
    ) -> Result<Work, Error> {
        out.resize(spec.count(self.model.outputs()), 0.0);
        Ok(self.run(self.model, region, spec, options, &Given::default(), out)?.work)
    }

    /// As [`Runner::lower_bounds`] from what is given, see
    /// [`certus_engine::bounds::lower_bounds_given`]; with the pre-activation bounds of all neurons.
    /// `up_to`: the layer whose pre-activations the rows are functions of, instead of the outputs.
    ///
    /// # Errors
    /// The engine's.
    pub fn lower_bounds_given(
        &mut self,
        region: &Region<'_>,
        spec: &Spec<'_>,
        options: &Options,
        given: &Given<'_>,
        up_to: Option<usize>,
        out: &mut Vec<f32>,
    ) -> Result<bounds::Bounds<'_>, Error> {
        let whole = self.model;
        let model = up_to.map_or(Some(whole), |k| whole.up_to(k)).ok_or(Error::Spec)?;
        out.resize(spec.count(model.outputs()), 0.0);
        self.run(model, region, spec, options, given, out)
    }

    /// Lower bounds of rows over the pre-activations of layer `up_to`, each with slopes of its own,
    /// see [`certus_engine::bounds::lower_bounds_own`].
    ///
    /// # Errors
    /// The engine's.
    pub fn lower_bounds_own(
        &mut self,
        region: &Region<'_>,
        spec: &Spec<'_>,
        semantics: Semantics,
        own: &OwnSlopes<'_>,
        up_to: usize,
        out: &mut Vec<f32>,
    ) -> Result<Work, Error> {
        let model = self.model.up_to(up_to).ok_or(Error::Spec)?;
        out.resize(spec.count(model.outputs()), 0.0);
        let size = Size::of_own(&model, self.block);
        let Self { arith, carried: (floats, indices), .. } = self;
        floats.resize(size.floats, 0.0);
        indices.resize(size.indices, 0);
        let workspace = Workspace { floats, indices };
        let run = || lower_bounds_own(arith, &model, region, spec, semantics, own, workspace, out);
        if self.parallel { rayon::scope(|_| run()) } else { run() }
    }

    /// As [`Runner::lower_bounds`], with the pre-activation bounds of every layer.
    ///
    /// # Errors
    /// The engine's.
    pub fn report(
        &mut self,
        region: &Region<'_>,
        spec: &Spec<'_>,
        options: &Options,
    ) -> Result<Report, Error> {
        let mut lower = vec![0.0; spec.count(self.model.outputs())];
        let model = self.model;
        let found = self.run(model, region, spec, options, &Given::default(), &mut lower)?;
        let mut ends = found.lo.iter().copied().zip(found.hi.iter().copied());
        let layers = model.layers().map(|layer| ends.by_ref().take(layer.rows).collect());
        let (layers, work) = (layers.collect(), found.work);
        Ok(Report { lower, layers, work })
    }

    fn run(
        &mut self,
        model: Model<'m>,
        region: &Region<'_>,
        spec: &Spec<'_>,
        options: &Options,
        given: &Given<'_>,
        out: &mut [f32],
    ) -> Result<bounds::Bounds<'_>, Error> {
        let workspace = if options.carries() {
            // Of its own and of its size: how rows fall into blocks must not depend on earlier calls.
            let size = Size::of_options(&model, options, self.block);
            let (floats, indices) = &mut self.carried;
            floats.resize(size.floats, 0.0);
            indices.resize(size.indices, 0);
            Workspace { floats, indices }
        } else {
            Workspace { floats: &mut self.floats, indices: &mut self.indices }
        };
        let arith = &mut self.arith;
        let run =
            || lower_bounds_given(arith, &model, region, spec, options, given, workspace, out);
        // Within the pool, the many short parallel loops start without waking a thread each.
        if self.parallel { rayon::scope(|_| run()) } else { run() }
    }

    /// The simplex certificate with the `K` nearest facets and decisions, see
    /// [`certus_engine::simplex::simplex`].
    ///
    /// # Errors
    /// The engine's.
    pub fn simplex<const K: usize>(&mut self, query: &Query<'_>) -> Result<Simplex<K>, Error> {
        let Self { model, arith, floats, indices, nearest, .. } = self;
        // No more than it can use: how rows fall into blocks steers the work.
        let size = simplex::size(model, FEW.min(self.block));
        let floats = &mut floats[..size.floats];
        let workspace = Workspace { floats, indices };
        simplex::simplex(arith, model, query, workspace, nearest)
    }

    /// The nearest violation by what [`Runner::simplex`] found last for the same query, with the
    /// point itself.
    ///
    /// # Errors
    /// The engine's.
    pub fn nearest_violation<const K: usize>(
        &mut self,
        query: &Query<'_>,
        found: &Simplex<K>,
    ) -> Result<Option<(Violation, Vec<f32>)>, Error> {
        let Self { model, arith, floats, indices, nearest, .. } = self;
        let mut point = vec![0.0; model.inputs()];
        let workspace = Workspace { floats, indices };
        let violation =
            nearest_violation(arith, model, query, nearest, found.value, workspace, &mut point)?;
        Ok(violation.map(|violation| (violation, point)))
    }

    /// The outputs at `x` in f32, as deployed.
    pub fn forward(&mut self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; self.model.outputs()];
        let done = forward(&self.arith, &self.model, x, &mut self.floats, &mut out);
        debug_assert!(done.is_some(), "x has the model's inputs, and the workspace is larger");
        out
    }

    /// The class with the largest output at `x`; `None` if an output is NaN.
    pub fn predict(&mut self, x: &[f32]) -> Option<usize> {
        argmax(&self.forward(x))
    }
}
