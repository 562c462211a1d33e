//! Where this machine keeps its Postgres.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use super::EmbeddedError;

/// The oldest major version the schema runs on.
const MAJOR_MIN: u32 = 14;

/// A folder with `postgres` and `initdb` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    pub folder: PathBuf,
    pub major: u32,
}

/// The best binaries: those of the version that made the cluster, or the newest when there is none
/// yet. A given folder (`PG_BINDIR`) is the only one looked at.
pub fn find(given: Option<&Path>, made_by: Option<u32>) -> Result<Binaries, EmbeddedError> {
    let folders = match given {
        Some(folder) => vec![folder.to_path_buf()],
        None => candidates(Path::new("/"), std::env::var_os("PATH").as_deref()),
    };
    let mut found: Vec<Binaries> = folders
        .iter()
        .filter_map(|folder| inspect(folder))
        .collect();
    if let (Some(folder), true) = (given, found.is_empty()) {
        return Err(EmbeddedError::NotThere(folder.to_path_buf()));
    }
    found.retain(|binaries| binaries.major >= MAJOR_MIN);
    choose(found, made_by)
}

fn choose(found: Vec<Binaries>, made_by: Option<u32>) -> Result<Binaries, EmbeddedError> {
    // Of equal versions the first wins: the order of the folders is the order of preference.
    let newest = found.iter().rev().max_by_key(|binaries| binaries.major);
    match (newest, made_by) {
        (None, _) => Err(EmbeddedError::NoBinaries),
        (Some(newest), None) => Ok(newest.clone()),
        (Some(newest), Some(major)) => found
            .iter()
            .find(|binaries| binaries.major == major)
            .cloned()
            .ok_or(EmbeddedError::OtherVersion {
                made_by: major,
                found: newest.major,
            }),
    }
}

/// Every folder that may hold Postgres, best first. `root` is `/` but in tests.
fn candidates(root: &Path, path: Option<&OsStr>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for folder in path.map(std::env::split_paths).into_iter().flatten() {
        // A link in PATH (Debian's wrappers, Homebrew's cellar) leads to the folder with all of it.
        if let Ok(program) = folder.join("postgres").canonicalize() {
            folders.extend(program.parent().map(Path::to_path_buf));
        }
    }
    folders.extend(bindir_of_pg_config(path));
    for (parent, prefix, rest) in [
        ("usr/lib/postgresql", "", "bin"),
        ("usr", "pgsql-", "bin"),
        ("opt/homebrew/opt", "postgresql", "bin"),
        ("usr/local/opt", "postgresql", "bin"),
        ("home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
        ("Applications/Postgres.app/Contents/Versions", "", "bin"),
        ("usr/local/pgsql", "bin", ""),
    ] {
        for folder in children(&root.join(parent), prefix) {
            folders.push(if rest.is_empty() {
                folder
            } else {
                folder.join(rest)
            });
        }
    }
    folders
}

fn bindir_of_pg_config(path: Option<&OsStr>) -> Option<PathBuf> {
    let mut command = Command::new("pg_config");
    command.arg("--bindir").env("PATH", path?);
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

fn children(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut children: Vec<_> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| name.starts_with(prefix))
        })
        .collect();
    children.sort();
    children
}

fn inspect(folder: &Path) -> Option<Binaries> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let major = parse_major(std::str::from_utf8(&output.stdout).ok()?)?;
    Some(Binaries {
        folder: folder.to_path_buf(),
        major,
    })
}

/// The major version of `postgres (PostgreSQL) 15.18 (Debian …)` or of a `PG_VERSION` file.
pub fn parse_major(text: &str) -> Option<u32> {
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(folder: &str, major: u32) -> Binaries {
        Binaries {
            folder: folder.into(),
            major,
        }
    }

    #[test]
    fn versions_are_read_as_each_packager_prints_them() {
        for (text, major) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 17.2 (Homebrew)", Some(17)),
            ("postgres (PostgreSQL) 18beta1", Some(18)),
            ("14\n", Some(14)),
            ("", None),
        ] {
            assert_eq!(parse_major(text), major, "{text}");
        }
    }

    #[test]
    fn a_cluster_is_run_by_the_version_that_made_it_and_a_new_one_by_the_newest() {
        let found = || {
            vec![
                binaries("/path", 15),
                binaries("/brew", 17),
                binaries("/app", 17),
            ]
        };
        assert_eq!(choose(found(), None).unwrap(), binaries("/brew", 17));
        assert_eq!(choose(found(), Some(15)).unwrap(), binaries("/path", 15));
        let refusal = choose(found(), Some(16)).unwrap_err().to_string();
        assert!(
            refusal.contains("16") && refusal.contains("17"),
            "{refusal}"
        );
        assert!(matches!(
            choose(vec![], None),
            Err(EmbeddedError::NoBinaries)
        ));
    }

    #[test]
    fn versioned_folders_of_debian_and_homebrew_are_looked_into() {
        let root = std::env::temp_dir().join(format!("tollkeeper-binaries-{}", std::process::id()));
        let bins = [
            "usr/lib/postgresql/15/bin",
            "opt/homebrew/opt/postgresql@17/bin",
            "Applications/Postgres.app/Contents/Versions/latest/bin",
        ];
        for bin in bins {
            std::fs::create_dir_all(root.join(bin)).unwrap();
        }
        std::fs::create_dir_all(root.join("opt/homebrew/opt/openssl/bin")).unwrap();

        let found = candidates(&root, None);

        assert_eq!(found, bins.map(|bin| root.join(bin)));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
