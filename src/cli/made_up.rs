//! Secrets made up on the first start, so that nobody has to set anything to begin.
//!
//! Written once to `keys.env` in the data folder, for its owner only, and read again ever after: the
//! database beside it is sealed with them.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::postgres;

const FILE: &str = "keys.env";
const HEADING: &str = "# Made up by `tollkeeper up`, and needed as long as the database beside it: keep a copy.\n\
                       # A variable of the environment wins over the same one here.\n";

/// What was made up just now, and where it was written.
#[derive(Debug)]
pub struct MadeUp {
    pub names: Vec<&'static str>,
    pub file: PathBuf,
}

/// What was made up earlier for this data folder; empty when nothing was.
pub fn read(data_dir: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let path = data_dir.join(FILE);
    match dotenvy::from_path_iter(&path) {
        Ok(entries) => {
            let entries: Result<_, _> = entries.collect();
            // The error would quote the line, and with it the secret.
            entries.map_err(|_| {
                anyhow::anyhow!("{} has a line that is not NAME=value", path.display())
            })
        }
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Everything made up for the data folder of this environment, now or earlier.
pub fn make(
    environment: &BTreeMap<String, String>,
    is_sandbox: bool,
) -> anyhow::Result<(BTreeMap<String, String>, Option<MadeUp>)> {
    let data_dir = Path::new(&environment["TOLLKEEPER_DATA"]);
    let data_dir = postgres::make_data_dir(data_dir)
        .with_context(|| format!("{} cannot be made", data_dir.display()))?;
    // Two first starts at once must not seal with two keys.
    let lock = File::create(data_dir.join("keys.lock"))?;
    lock.lock()?;
    let mut values = read(&data_dir)?;
    let mut names = Vec::new();
    for (name, make) in wanted(environment, is_sandbox) {
        if !environment.contains_key(name) && !values.contains_key(name) {
            values.insert(name.to_owned(), make());
            names.push(name);
        }
    }
    if names.is_empty() {
        return Ok((values, None));
    }
    let file = data_dir.join(FILE);
    write(&file, &values).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok((values, Some(MadeUp { names, file })))
}

type Make = fn() -> String;

/// The key gets an id of its own: sealed tokens tell which key they miss.
fn wanted(environment: &BTreeMap<String, String>, is_sandbox: bool) -> Vec<(&'static str, Make)> {
    let mut wanted: Vec<(&'static str, Make)> = vec![("ENCRYPTION_KEY", || {
        format!("{}:{}", random_hex(4), random_hex(32))
    })];
    if !environment.contains_key("JWKS_URL") {
        wanted.push(("JWT_SECRET", || random_hex(32)));
    }
    if is_sandbox {
        wanted.extend([
            (
                "STRIPE_SECRET_KEY",
                (|| format!("sk_test_sandbox_{}", random_hex(12))) as Make,
            ),
            ("STRIPE_WEBHOOK_SECRET", || {
                format!("whsec_{}", random_hex(24))
            }),
            ("TWILIO_ACCOUNT_SID", || format!("AC{}", random_hex(16))),
            ("TWILIO_AUTH_TOKEN", || random_hex(16)),
            ("VOIPMS_CALLBACK_TOKENS", || random_hex(24)),
        ]);
    }
    wanted
}

fn random_hex(bytes: usize) -> String {
    (0..bytes)
        .map(|_| format!("{:02x}", rand::random::<u8>()))
        .collect()
}

/// Whole or not at all: a crash in between leaves the old file.
fn write(path: &Path, values: &BTreeMap<String, String>) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(HEADING.as_bytes())?;
    for (name, value) in values {
        writeln!(file, "{name}={value}")?;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
