//! Every kernel is valid WGSL, small, and laid out as the host believes.

use std::mem::{offset_of, size_of};

use certus_shaders::kernel::{ASCEND, PROBE_SUMS, all};
use certus_shaders::layout::{Ascend, Climb, Step, Sums};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Module, TypeInner};

fn parse(name: &str, source: &str) -> Module {
    match naga::front::wgsl::parse_str(source) {
        Ok(module) => module,
        Err(error) => panic!("{name}: {}", error.emit_to_string(source)),
    }
}

#[test]
fn kernels_are_valid_without_any_extension() {
    for kernel in all() {
        let module = parse(kernel.name, &kernel.source);
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        if let Err(error) = validator.validate(&module) {
            panic!("{}: {}", kernel.name, error.emit_to_string(&kernel.source));
        }
        let [entry] = &module.entry_points[..] else { panic!("{}: one entry", kernel.name) };
        assert_eq!((&*entry.name, entry.workgroup_size), ("main", [kernel.workgroup, 1, 1]));
        for (_, global) in module.global_variables.iter() {
            let group = global.binding.map(|binding| binding.group);
            let outside = global.space != AddressSpace::WorkGroup;
            assert_eq!(group, outside.then_some(0), "{}: {:?}", kernel.name, global.name);
        }
    }
}

#[test]
fn files_are_short() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/wgsl");
    let mut seen = 0;
    for folder in [folder.to_owned(), format!("{folder}/shared")] {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|end| end == "wgsl") {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                assert!(text.lines().count() <= 150, "{entry:?}");
                assert!(text.lines().all(|line| line.len() <= 110), "{entry:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 10, "{seen}");
}

/// Names, offsets and the size of a structure as WGSL lays it out.
fn structure(module: &Module, name: &str) -> (Vec<(String, usize)>, usize) {
    let found = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name));
    let Some((_, ty)) = found else { panic!("no structure {name}") };
    let TypeInner::Struct { members, span } = &ty.inner else { panic!("{name} is none") };
    let members = members
        .iter()
        .map(|member| (member.name.clone().unwrap_or_default(), member.offset as usize));
    (members.collect(), *span as usize)
}

/// The offsets of a structure's fields in Rust.
macro_rules! offsets {
    ($ty:ty: $($field:ident),*) => {
        (vec![$((stringify!($field).to_owned(), offset_of!($ty, $field))),*], size_of::<$ty>())
    };
}

#[test]
fn parameters_lie_where_the_host_puts_them() {
    let sums = offsets!(Sums: rows, n, block, none);
    assert_eq!(structure(&parse(PROBE_SUMS.name, &PROBE_SUMS.source), "Sums"), sums);
    let ascend = offsets!(Ascend: rate, first, second, none);
    assert_eq!(structure(&parse(ASCEND.name, &ASCEND.source), "Ascend"), ascend);
    let step = offsets!(Step: samples, neurons, layers, width, layer, first, below, rows, cols, stride,
        tile, through, norm, slope, flags, outputs, leak, gamma, factor, under, share, weight_error,
        bias_error, relative, absolute, none, spare, free, bends);
    let climb = offsets!(Climb: rows, inputs, neurons, cols, through, norm, leak, length, momentum, lo, hi,
        none);
    for kernel in all().into_iter().filter(|kernel| !kernel.name.starts_with("probe")) {
        let (name, expected) =
            if kernel.name.starts_with("climb") { ("Climb", &climb) } else { ("Step", &step) };
        let found = structure(&parse(kernel.name, &kernel.source), name);
        assert_eq!(&found, expected, "{}", kernel.name);
    }
}
