//! Hand-made tables of regions: what they certify, and the setups that they do not fit.

extern crate std;
use std::vec::Vec;

use super::super::tests::{once, two_classes, two_neurons};
use super::super::*;
use crate::bounds::forward_macs;
use crate::model::blob;
use crate::region::Norm;
use crate::regions::tests::{OPEN, leaf, table};
use crate::regions::{Branch, Node, Regions};

const RANGE: (&[f32], &[f32]) = (&[-8.0, -8.0], &[8.0, 8.0]);
const RADII: [f32; 2] = [0.25, 0.125];

/// For `y` within -1.5 and 7: true where `|x0|` and `|x1|` are below 4, less the errors. What the table
/// says of its range is `x0 < 3.5 and x1 < 3.5`, which is as true for states down to -4.
fn limits_table(words: &[u32]) -> Vec<u32> {
    let kept = Rule::Limits { lo: &[-1.5], hi: &[7.0] };
    let node = |input, above| Node { input, value: 3.5, below: Branch::Node(1), above };
    let nodes = [node(0, OPEN), Node { below: leaf(0), ..node(1, OPEN) }];
    let crc = words[blob::CRC_WORD];
    table(crc, (&[-3.5; 2], &[8.0; 2]), &RADII, 1, &kept, &nodes, (Branch::Node(0), 2))
}

fn setup<'a>(regions: Option<Regions<'a>>, lo: &'a [f32], hi: &'a [f32]) -> Setup<'a> {
    let rule = Rule::Limits { lo, hi };
    let error = SensorError::Box(&RADII);
    Setup { regions, ..Setup::new(RANGE, error, rule, &[3.75], Setup::NO_BUDGET, 10) }
}

#[test]
fn a_certified_region_takes_inference_alone() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let found = limits_table(&words);
    let regions = Regions::from_words(&found).unwrap();
    let with = setup(Some(regions), &[-1.5], &[7.0]);
    let without = Setup { regions: None, ..with };
    assert_eq!(with.worst_case(&model), without.worst_case(&model));
    assert_eq!(with.least_budget(&model), without.least_budget(&model));
    assert_eq!(with.size(&model, 1), without.size(&model, 1));
    for x in [[2.0, 0.0], [-3.5, 3.0], [3.5f32.next_down(), 0.0], [-0.0, -0.0]] {
        let (verdict, scale, by, work, command) = once(&words, with, &x);
        assert_eq!((verdict, scale, by), (Verdict::Certified, 1.0, Some(Means::Regions)), "{x:?}");
        assert_eq!(work, forward_macs(&model));
        let (verdict, _, _, more, same) = once(&words, without, &x);
        assert_eq!((verdict, command), (Verdict::Certified, same));
        assert!(more > work);
    }
    // In an open leaf, and outside the table's range, as without.
    for x in [[3.5, 0.0], [0.0, 3.5], [3.9, 0.0], [-3.6, 0.0], [-8.0, 8.0], [4.5, 0.0]] {
        assert_eq!(once(&words, with, &x), once(&words, without, &x), "{x:?}");
    }
    // What is no input never gets there.
    for x in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [9.0, 0.0]] {
        let (verdict, _, by, work, _) = once(&words, with, &x);
        assert!(matches!(verdict, Verdict::Stale) && by.is_none() && work == 0);
    }
}

#[test]
fn outputs_as_computed_come_first() {
    let words = two_classes();
    let model = Model::from_words(&words).unwrap();
    // f = (relu(x + 1), relu(x - 1)): class 0 from -1 on, ahead by 2 from 1 on. The table lies: class 1.
    let kept = Rule::Class { margin: 1.0 };
    let crc = words[blob::CRC_WORD];
    let made = |class| table(crc, (&[0.5], &[9.0]), &[0.25], 2, &kept, &[], (leaf(class), 0));
    let (told, lies) = (made(0), made(1));
    let setup = |table, margin| Setup {
        regions: Some(Regions::from_words(table).unwrap()),
        ..Setup::new(
            (&[-9.0], &[9.0]),
            SensorError::Box(&[0.25]),
            Rule::Class { margin },
            &[1.0, 0.0],
            Setup::NO_BUDGET,
            10,
        )
    };
    let (verdict, _, by, work, _) = once(&words, setup(&told, 1.0), &[0.5]);
    assert_eq!((verdict, by), (Verdict::Certified, Some(Means::Regions)));
    assert_eq!(work, forward_macs(&model));
    let (verdict, _, by, ..) = once(&words, setup(&lies, 1.0), &[0.5]);
    assert_eq!(verdict, Verdict::Certified);
    assert_ne!(by, Some(Means::Regions));
    let (verdict, ..) = once(&words, setup(&told, 1.0), &[-0.75]);
    assert_eq!(verdict, Verdict::Violated(Fault::Output));
    let check = |margin| {
        let setup = setup(&told, margin);
        setup.check(&model, setup.size(&model, 1))
    };
    assert_eq!((check(0.0), check(1.0)), (Ok(()), Ok(())));
    assert_eq!(check(1.0f32.next_up()), Err(SetupError::Regions(Misfit::Rule)));
}

#[test]
fn setups_that_a_table_does_not_fit() {
    let words = two_neurons();
    let model = Model::from_words(&words).unwrap();
    let found = limits_table(&words);
    let good = setup(Some(Regions::from_words(&found).unwrap()), &[-1.5], &[7.0]);
    let size = good.size(&model, 1);
    let check = |setup: Setup<'_>| setup.check(&model, size);
    let misfit = |part| Err(SetupError::Regions(part));
    assert_eq!(check(good), Ok(()));
    const ABOVE: [f32; 1] = [(-1.5f32).next_up()];
    const BELOW: [f32; 1] = [7.0f32.next_down()];
    const LARGER: [f32; 2] = [0.25f32.next_up(), 0.0];
    // Wider limits are kept as well.
    let rule = |lo, hi| check(Setup { rule: Rule::Limits { lo, hi }, ..good });
    assert_eq!(rule(&[-2.0], &[f32::MAX]), Ok(()));
    assert_eq!(rule(&ABOVE, &[7.0]), misfit(Misfit::Rule));
    assert_eq!(rule(&[-1.5], &BELOW), misfit(Misfit::Rule));
    let error = |error| check(Setup { error, ..good });
    assert_eq!(error(SensorError::Box(&[0.25, 0.0])), Ok(()));
    assert_eq!(error(SensorError::Box(&LARGER)), misfit(Misfit::Error));
    assert_eq!(error(SensorError::Box(&[0.0, 0.25])), misfit(Misfit::Error));
    let tiny = f32::from_bits(1);
    let exact = Rule::Limits { lo: &[-1.5], hi: &[7.0] };
    let crc = words[blob::CRC_WORD];
    let none = table(crc, (&[0.0; 2], &[1.0; 2]), &[0.0, tiny], 1, &exact, &[], (leaf(0), 0));
    let regions = Some(Regions::from_words(&none).unwrap());
    let subnormal = |error| check(Setup { regions, error: SensorError::Box(error), ..good });
    assert_eq!(subnormal(&[-0.0, 1e-45]), Ok(()));
    assert_eq!(subnormal(&[1e-45, 0.0]), misfit(Misfit::Error));
    // A ball lies in the cube of its radius: the smaller of the table's radii counts.
    for norm in [Norm::L1, Norm::L2, Norm::Linf, Norm::new(1.5).unwrap(), Norm::new(3.0).unwrap()] {
        let ball = |radius| error(SensorError::Ball { radius, norm });
        assert_eq!((ball(0.0), ball(0.125)), (Ok(()), Ok(())));
        assert_eq!(ball(0.125f32.next_up()), misfit(Misfit::Error));
        assert_eq!(ball(0.25), misfit(Misfit::Error));
    }
    // Another model, even one of the same shape; a part of the model.
    let mut other = words.clone();
    other[blob::CRC_WORD] ^= 1;
    let other = limits_table(&other);
    let regions = Some(Regions::from_words(&other).unwrap());
    assert_eq!(check(Setup { regions, ..good }), misfit(Misfit::Model));
    let part = model.up_to(1).unwrap();
    assert_eq!(part.outputs(), 1);
    assert_eq!(good.check(&part, size), misfit(Misfit::Model));
    // A class is no limit, and the other way round.
    let classes = two_classes();
    let crc = classes[blob::CRC_WORD];
    let limits = Rule::Limits { lo: &[0.0; 2], hi: &[1.0; 2] };
    let range: (&[f32], &[f32]) = (&[0.0], &[1.0]);
    for kept in [limits, Rule::Class { margin: 0.0 }] {
        let table = table(crc, range, &[1.0], 2, &kept, &[], (leaf(0), 0));
        let model = Model::from_words(&classes).unwrap();
        for rule in [Rule::Limits { lo: &[0.0; 2], hi: &[1.0; 2] }, Rule::Class { margin: 0.0 }] {
            let regions = Some(Regions::from_words(&table).unwrap());
            let error = SensorError::Box(&[0.5]);
            let new = Setup::new(range, error, rule, &[0.5, 0.25], Setup::NO_BUDGET, 10);
            let found = Setup { regions, ..new }.check(&model, new.size(&model, 1));
            let same = matches!(kept, Rule::Class { .. }) == matches!(rule, Rule::Class { .. });
            assert_eq!(found, if same { Ok(()) } else { misfit(Misfit::Rule) });
        }
    }
}
