//! Bounds in less memory, without those of the pre-activations: the same bits.

use certus_engine::bounds::{Options, Portable, Size, Work, Workspace, lower_bounds};
use certus_engine::model::Model;
use certus_engine::spec::Spec;
use certus_tests::ask::{all_options, engine_region, storable};
use certus_tests::generate::{Kind, case};
use certus_tests::outside::words;
use certus_tests::plan::{many, seed};
use rayon::prelude::*;

const SEED: u64 = 401;

/// The rows' bounds as bits, or the error; what was given back of the pre-activations; the memory.
struct Found {
    rows: Result<(Vec<u32>, Work), certus_engine::bounds::Error>,
    ends: usize,
    floats: usize,
}

#[test]
fn rows_are_bounded_alike_in_less_memory() {
    let seed = seed(SEED);
    let cases: Vec<(Kind, u64)> = Kind::ALL
        .into_iter()
        .flat_map(|kind| (0..many(8) as u64).map(move |index| (kind, index)))
        .collect();
    let spared: usize = cases
        .par_iter()
        .map(|(kind, index)| {
            let mut case = case(seed, *kind, *index);
            storable(&mut case.net);
            let words = words(&case.net);
            let model = Model::from_words(&words).expect("packed here");
            let region = engine_region(&case.region);
            let spec = Spec::Outputs;
            let mut spared = 0;
            for options in all_options() {
                let run = |options: Options| {
                    let size = Size::of_options(&model, &options, 2);
                    let mut floats = vec![f32::NAN; size.floats];
                    let mut indices = vec![7; size.indices];
                    let workspace = Workspace { floats: &mut floats, indices: &mut indices };
                    let mut out = vec![f32::NAN; spec.count(model.outputs())];
                    let mut ends = 0;
                    let rows = lower_bounds(
                        &mut Portable,
                        &model,
                        &region,
                        &spec,
                        &options,
                        workspace,
                        &mut out,
                    );
                    let rows = rows.map(|found| {
                        ends = found.lo.len() + found.hi.len();
                        found.work
                    });
                    let bits = out.iter().map(|bound| bound.to_bits()).collect();
                    Found { rows: rows.map(|work| (bits, work)), ends, floats: size.floats }
                };
                let (with, without) = (run(options), run(options.without_ends()));
                let what = format!("{} {options:?}", case.name);
                assert_eq!(with.rows, without.rows, "{what}");
                assert_eq!(without.ends, 0, "{what}");
                let all = 2 * model.neurons();
                assert_eq!(with.ends, if with.rows.is_ok() { all } else { 0 }, "{what}");
                assert!(without.floats <= with.floats, "{what}");
                spared += with.floats - without.floats;
            }
            spared
        })
        .sum();
    assert!(spared > 0);
}
