//! Writes the JSON Schema of every kind and version to a folder: `cargo run -p guideway-model --example schemas FOLDER`.
//! With `--check`, writes nothing and fails if a file is not what would be written, or should not be there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use guideway_model::Kind;
use guideway_model::schema::{json_schema, json_schema_path};

fn main() -> io::Result<ExitCode> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let check = arguments.iter().any(|argument| argument == "--check");
    arguments.retain(|argument| argument != "--check");
    let [folder] = arguments.as_slice() else {
        writeln!(io::stderr(), "usage: schemas [--check] FOLDER")?;
        return Ok(ExitCode::from(2));
    };
    let folder = Path::new(folder);
    let wanted = wanted(folder)?;
    let stale: Vec<&PathBuf> = wanted
        .iter()
        .filter(|(path, text)| fs::read_to_string(path).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    let surplus: Vec<PathBuf> = files(folder)?
        .into_iter()
        .filter(|path| !wanted.contains_key(path))
        .collect();
    let verb = if check { "not up to date" } else { "wrote" };
    for path in &stale {
        writeln!(io::stderr(), "{verb}: {}", path.display())?;
        if !check {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, &wanted[*path])?;
        }
    }
    for path in &surplus {
        writeln!(io::stderr(), "of no kind: {}", path.display())?;
        if !check {
            fs::remove_file(path)?;
        }
    }
    let fresh = stale.is_empty() && surplus.is_empty();
    Ok(if check && !fresh {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Each file with what it must hold.
fn wanted(folder: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut wanted = BTreeMap::new();
    for kind in Kind::all() {
        let info = kind.info();
        for version in std::iter::once(info.version).chain(info.accepted_versions.iter().copied()) {
            let mut text = serde_json::to_string_pretty(&json_schema(kind, version))?;
            text.push('\n');
            wanted.insert(folder.join(json_schema_path(kind, version)), text);
        }
    }
    Ok(wanted)
}

/// The JSON files under a folder, which may be absent.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    Ok(found)
}
