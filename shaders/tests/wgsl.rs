//! Every kernel is valid WGSL, small, and laid out as the host believes.

use std::mem::{offset_of, size_of};

use certus_shaders::kernel::{ALL, PROBE_SUMS};
use certus_shaders::layout::Sums;
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
    for kernel in ALL {
        let module = parse(kernel.name, kernel.source);
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        if let Err(error) = validator.validate(&module) {
            panic!("{}: {}", kernel.name, error.emit_to_string(kernel.source));
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
fn kernels_are_short() {
    for kernel in ALL {
        assert!(kernel.source.lines().count() <= 150, "{}", kernel.name);
        assert!(kernel.source.lines().all(|line| line.len() <= 110), "{}", kernel.name);
    }
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

#[test]
fn parameters_lie_where_the_host_puts_them() {
    let module = parse(PROBE_SUMS.name, PROBE_SUMS.source);
    let expected = [
        ("rows", offset_of!(Sums, rows)),
        ("n", offset_of!(Sums, n)),
        ("block", offset_of!(Sums, block)),
        ("none", offset_of!(Sums, none)),
    ];
    let expected = expected.map(|(name, at)| (name.to_owned(), at)).to_vec();
    assert_eq!(structure(&module, "Sums"), (expected, size_of::<Sums>()));
}
