//! The project's own text files.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const SKIP: [&str; 5] = ["target", ".git", "corpus", "artifacts", "node_modules"];

/// All files under `folder`, sorted, without what is built.
pub fn under(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_file() {
                found.push(entry.path());
            } else if kind.is_dir() && !SKIP.contains(&&*entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The file's extension, or nothing.
pub fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}
