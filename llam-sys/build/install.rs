//! Running the SDK's own installer, when a variable of the `LLAM_SYS_INSTALL_*` family asks for it.
//!
//! The installer is a script, `install.sh` or on Windows `install.ps1`, called with
//! `--prefix`, `--version`, `--target`, `--base-url` and `--force`. What it laid out is checked like
//! any other SDK.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sdk::{self, Sdk};
use crate::{is_on, library, variable};

/// The release to install when `LLAM_SYS_INSTALL_VERSION` does not say.
const DEFAULT_VERSION: &str = "1.0.1";

/// The targets that SDKs are made for.
const TARGETS: &[&str] = &[
    "macos-x86_64",
    "macos-aarch64",
    "linux-x86_64",
    "linux-aarch64",
    "windows-x86_64",
];

/// Whether a variable asks for an installation.
pub(crate) fn is_asked_for() -> bool {
    is_on("LLAM_SYS_FORCE_INSTALL")
        || ["PREFIX", "VERSION", "TARGET", "BASE_URL", "SCRIPT"]
            .iter()
            .any(|name| variable(&format!("LLAM_SYS_INSTALL_{name}")).is_some())
}

/// The SDK to use when an installation was asked for; `None` when it was not.
pub(crate) fn asked_for() -> Result<Option<Sdk>, String> {
    if !is_asked_for() {
        return Ok(None);
    }
    let force = is_on("LLAM_SYS_FORCE_INSTALL");
    let prefix = variable("LLAM_SYS_INSTALL_PREFIX").map_or_else(
        || PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("llam-sdk"),
        PathBuf::from,
    );
    sdk::must_be_absolute("LLAM_SYS_INSTALL_PREFIX", &prefix)?;
    let version =
        variable("LLAM_SYS_INSTALL_VERSION").unwrap_or_else(|| DEFAULT_VERSION.to_owned());
    let sdk = Sdk::below(
        &prefix,
        format!("LLAM_SYS_INSTALL_PREFIX={}", prefix.display()),
    );
    if !force && has_version(&sdk, &version) {
        return Ok(Some(sdk));
    }
    if is_on("LLAM_SYS_NO_INSTALL") {
        if prefix.is_dir() && !force {
            return Ok(Some(sdk));
        }
        return Err(format!(
            "LLAM_SYS_NO_INSTALL forbids running the installer, but there is no SDK to use in {} \
             (LLAM_SYS_INSTALL_PREFIX); install LLAM {version} there, or unset LLAM_SYS_NO_INSTALL",
            prefix.display()
        ));
    }
    install(&prefix, &version)?;
    if !has_version(&sdk, &version) {
        let facts = sdk.facts().map_err(|error| {
            format!("the installer of LLAM_SYS_INSTALL_SCRIPT ended well, but {error}")
        })?;
        let (major, minor, patch) = facts.version;
        return Err(format!(
            "the installer of LLAM_SYS_INSTALL_SCRIPT ended well, but laid out LLAM \
             {major}.{minor}.{patch} in {} where LLAM_SYS_INSTALL_VERSION asks for {version}; set \
             the variable to what the installer offers",
            prefix.display()
        ));
    }
    Ok(Some(sdk))
}

fn has_version(sdk: &Sdk, version: &str) -> bool {
    sdk.include.join("llam/runtime.h").is_file()
        && sdk.facts().is_ok_and(|facts| {
            let (major, minor, patch) = facts.version;
            version == format!("{major}.{minor}.{patch}")
        })
}

/// Runs the script and waits for it; its output appears when the build fails.
fn install(prefix: &Path, version: &str) -> Result<(), String> {
    let target = target()?;
    let base_url = variable("LLAM_SYS_INSTALL_BASE_URL");
    let script = script(base_url.as_deref())?;
    let is_powershell = script.extension().is_some_and(|name| name == "ps1");
    let mut command = if is_powershell {
        let mut command = Command::new("powershell");
        command.args(["-NoProfile", "-ExecutionPolicy", "Bypass", "-File"]);
        command
    } else {
        Command::new("sh")
    };
    command.arg(&script).arg("--prefix").arg(prefix).args([
        "--version",
        version,
        "--target",
        &target,
    ]);
    if let Some(url) = &base_url {
        command.args(["--base-url", url]);
    }
    command.arg("--force");
    // Into a file: a pipe would stay open for as long as anything the installer leaves behind.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let log = out.join("install.log");
    let status = File::create(&log)
        .and_then(|file| Ok((file.try_clone()?, file)))
        .and_then(|(one, other)| {
            command
                .stdin(Stdio::null())
                .stdout(one)
                .stderr(other)
                .status()
        })
        .map_err(|error| {
            format!(
                "the installer {} (LLAM_SYS_INSTALL_SCRIPT) cannot be started: {error}",
                script.display()
            )
        })?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read(&log).unwrap_or_default();
    let complaint = String::from_utf8_lossy(&said);
    let last = complaint.trim().lines().last().unwrap_or("it said nothing");
    Err(format!(
        "the installer {} (LLAM_SYS_INSTALL_SCRIPT) failed with {status} for --prefix {} --version \
         {version} --target {target}: {last}; mend that, or install the SDK by hand and set \
         LLAM_SYS_PREFIX",
        script.display(),
        prefix.display()
    ))
}

/// `LLAM_SYS_INSTALL_TARGET`, or the name of cargo's target.
fn target() -> Result<String, String> {
    let os = library::target_os();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let target = variable("LLAM_SYS_INSTALL_TARGET").unwrap_or_else(|| format!("{os}-{arch}"));
    if TARGETS.contains(&target.as_str()) {
        return Ok(target);
    }
    Err(format!(
        "LLAM_SYS_INSTALL_TARGET: there is no SDK for `{target}`, only for {}; set the variable to \
         one of them, or unset the LLAM_SYS_INSTALL_* variables to use the bundled engine",
        TARGETS.join(", ")
    ))
}

/// The script as a file: `LLAM_SYS_INSTALL_SCRIPT`, fetched first when it is a URL, or else the
/// script of that name below the base URL.
fn script(base_url: Option<&str>) -> Result<PathBuf, String> {
    let name = if library::target_os() == "windows" {
        "install.ps1"
    } else {
        "install.sh"
    };
    let place = match (variable("LLAM_SYS_INSTALL_SCRIPT"), base_url) {
        (Some(place), _) => place,
        (None, Some(url)) => format!("{}/{name}", url.trim_end_matches('/')),
        (None, None) => {
            return Err(format!(
                "an installation is asked for by a variable of the LLAM_SYS_INSTALL_* family, but \
                 LLAM_SYS_INSTALL_SCRIPT does not name the installer; set it to the path or URL of \
                 the SDK's {name}"
            ));
        }
    };
    if !place.contains("://") {
        let path = PathBuf::from(&place);
        sdk::must_be_absolute("LLAM_SYS_INSTALL_SCRIPT", &path)?;
        println!("cargo::rerun-if-changed={place}");
        return if path.is_file() {
            Ok(path)
        } else {
            Err(format!(
                "LLAM_SYS_INSTALL_SCRIPT={place} is not a file; set it to the path or URL of the \
                 SDK's {name}"
            ))
        };
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(name);
    let fetched = Command::new("curl")
        .args([
            "--fail",
            "--location",
            "--silent",
            "--show-error",
            "--output",
        ])
        .arg(&out)
        .arg(&place)
        .output()
        .map_err(|error| {
            format!(
                "LLAM_SYS_INSTALL_SCRIPT={place} cannot be fetched: curl does not start ({error}); \
                 install curl, or fetch the script by hand and name its path"
            )
        })?;
    if fetched.status.success() {
        return Ok(out);
    }
    Err(format!(
        "LLAM_SYS_INSTALL_SCRIPT={place} cannot be fetched: {}; check the address, or fetch the \
         script by hand and name its path",
        String::from_utf8_lossy(&fetched.stderr).trim()
    ))
}
