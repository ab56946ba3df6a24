//! Debian's and Ubuntu's packages: installed where we may, or unpacked beside the system.

use std::path::Path;
use std::process::Command;

use crate::process::{capture, run, succeeds};

/// A package and its version.
pub struct Package {
    /// Its name.
    pub name: String,
    /// The version that would be installed.
    pub version: String,
}

/// Whether this system has apt at all.
pub fn present() -> bool {
    succeeds("apt-get", &["--version"])
}

/// Installs packages; needs root, or sudo without a password.
pub fn install(names: &[&str]) -> Result<(), String> {
    refresh()?;
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(names);
    run(&mut as_root("apt-get", &arguments)?)
}

/// Brings the lists of packages up to date; needs root, or sudo without a password.
pub fn refresh() -> Result<(), String> {
    run(&mut as_root("apt-get", &["update", "-q"])?)
}

/// The version that would be installed now, if there is one.
pub fn candidate(name: &str) -> Option<String> {
    let policy = capture(apt("apt-cache").args(["policy", name])).ok()?;
    let version = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// `names` and those of their dependencies that the system lacks.
pub fn missing(names: &[&str]) -> Result<Vec<Package>, String> {
    let mut command = apt("apt-get");
    command.args(["install", "--simulate", "--no-install-recommends"]).args(names);
    let plan = capture(&mut command)?;
    let mut packages: Vec<Package> = plan.lines().filter_map(planned).collect();
    for &name in names {
        // Installed already: wanted in the unpacked tree all the same.
        if !packages.iter().any(|p| p.name == name) {
            let version = candidate(name).ok_or_else(|| format!("no package {name}"))?;
            packages.push(Package { name: name.to_owned(), version });
        }
    }
    Ok(packages)
}

/// Unpacks packages into `into`, without installing them. Needs no rights.
pub fn unpack(packages: &[Package], into: &Path) -> Result<(), String> {
    let debs = into.join("debs");
    std::fs::create_dir_all(&debs).map_err(|e| format!("{}: {e}", debs.display()))?;
    let mut download = apt("apt-get");
    // As the user that runs this, root or not: apt's own user may not write here.
    download.args(["-o", "APT::Sandbox::User=root", "download"]);
    download.args(packages.iter().map(|p| format!("{}={}", p.name, p.version)));
    run(download.current_dir(&debs))?;
    for entry in std::fs::read_dir(&debs).map_err(|e| e.to_string())?.flatten() {
        capture(Command::new("dpkg").arg("-x").arg(entry.path()).arg(into))?;
    }
    std::fs::remove_dir_all(&debs).map_err(|e| e.to_string())
}

/// `Inst libfoo (1.2-3 Debian:12/stable [amd64])` and `Inst libfoo [1.1] (1.2-3 ..)`.
fn planned(line: &str) -> Option<Package> {
    let rest = line.strip_prefix("Inst ")?;
    let (name, _) = rest.split_once(' ')?;
    let (_, bracket) = rest.split_once('(')?;
    let (version, _) = bracket.split_once(' ')?;
    Some(Package { name: name.to_owned(), version: version.to_owned() })
}

fn apt(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn as_root(program: &str, arguments: &[&str]) -> Result<Command, String> {
    if !present() {
        return Err("not a Debian or Ubuntu system".into());
    }
    let mut command = if capture(Command::new("id").arg("-u"))?.trim() == "0" {
        apt(program)
    } else if succeeds("sudo", &["-n", "true"]) {
        let mut command = apt("sudo");
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
        command
    } else {
        return Err("neither root nor sudo without a password".into());
    };
    command.args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::planned;

    #[test]
    fn reads_a_plan() {
        let new = planned("Inst libllvm22 (1:22.1.8-1 Debian:12/stable [amd64])").unwrap();
        assert_eq!((&*new.name, &*new.version), ("libllvm22", "1:22.1.8-1"));
        let newer = planned("Inst libgit2 [1.5.0] (1.5.1 Debian:12/stable [amd64])").unwrap();
        assert_eq!((&*newer.name, &*newer.version), ("libgit2", "1.5.1"));
        assert!(planned("Conf libgit2 (1.5.1 Debian:12/stable [amd64])").is_none());
    }
}
