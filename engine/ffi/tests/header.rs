//! The headers are what cbindgen makes of the sources.

use std::path::Path;

use cbindgen::{Builder, Config};

/// A header's sources, in the order in which a reader meets them, and what it includes.
struct Header {
    name: &'static str,
    sources: &'static [&'static str],
    title: Option<&'static str>,
}

const HEADERS: [Header; 2] = [
    Header { name: "certus.h", sources: &["status", "model", "question", "bounds"], title: None },
    Header {
        name: "certus_monitor.h",
        sources: &["setup", "monitor"],
        title: Some(
            "/* Certus in C: the run-time monitor; what certus.h says of memory, pointers and \
             threads holds.\n *\n * Made by cbindgen from engine/ffi/src; engine/ffi/README.md is \
             its page. */",
        ),
    },
];

impl Header {
    /// cbindgen's text.
    fn made(&self, root: &Path) -> String {
        let mut config = Config::from_file(root.join("cbindgen.toml")).expect("the settings");
        if let Some(title) = self.title {
            config.header = Some(title.to_owned());
            config.include_guard = Some("CERTUS_MONITOR_H".to_owned());
            config.sys_includes.clear();
            config.includes = vec!["certus.h".to_owned()];
        }
        let mut builder = Builder::new().with_config(config);
        for name in self.sources {
            builder = builder.with_src(root.join(format!("src/{name}.rs")));
        }
        let mut made = Vec::new();
        builder.generate().expect("sources that it reads").write(&mut made);
        String::from_utf8(made).expect("text")
    }
}

#[test]
fn the_headers_are_those_of_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for header in &HEADERS {
        let made = header.made(root);
        let path = root.join("include").join(header.name);
        if std::env::var_os("CERTUS_WRITE_HEADER").is_some() {
            std::fs::write(&path, &made).expect("a folder to write to");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let first = made.lines().zip(found.lines()).position(|(made, found)| made != found);
        assert!(
            made == found,
            "include/{} differs from line {}; CERTUS_WRITE_HEADER=1 makes this test write it",
            header.name,
            first.unwrap_or(made.lines().count().min(found.lines().count())) + 1
        );
    }
}
