//! A case in every setting of the engine.

use certus::blob::{WeightKind, pack};
use certus_engine::spec::Spec;

use crate::ask::{Engine, Sums, all_options, engine_region};
use crate::generate::Case;
use crate::truth::{Truth, justified};

/// Every setting's answer against the truth; gives how many answers there were, and how many
/// rows without a bound.
///
/// # Panics
/// If an answer is wrong, or refused without a reason.
pub fn never_refuted(case: &Case) -> (usize, usize) {
    let rows: Vec<f32> =
        [1.0, -1.0].iter().flat_map(|sign| case.spec_row.iter().map(move |c| sign * c)).collect();
    let row = std::slice::from_ref(&case.spec_row);
    let truth = Truth::find(&case.net, &case.region, row).expect("not empty");
    let valid = [truth.least[0], truth.least_negated[0]];
    let words = pack(&case.net, WeightKind::F32).expect("packs");
    let mut engine = Engine::new(&words);
    let spec = Spec::Rows { matrix: &rows, rows: 2 };
    let (mut answers, mut unbounded) = (0, 0);
    for options in all_options() {
        for sums in Sums::ALL {
            match engine.ask(&engine_region(&case.region), &spec, &options, sums) {
                Ok(answer) => {
                    answer.refute(&case.name, &valid, &truth.pre, &(options, sums));
                    answers += 1;
                    unbounded += answer.lower.iter().filter(|x| x.is_infinite()).count();
                }
                Err(error) => {
                    assert!(justified(&error, &case.net, &case.region), "{}: {error}", case.name);
                }
            }
        }
    }
    (answers, unbounded)
}
