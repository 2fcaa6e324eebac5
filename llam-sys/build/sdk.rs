//! An installed SDK: where it is, what its header says, and whether its library fits the target.
//!
//! Every error is one sentence that names the variable, the path and the remedy.

use std::fs;
use std::path::{Path, PathBuf};

use crate::library::{self, Fit};
use crate::variable;

/// The oldest SDK that is understood.
const OLDEST: (u32, u32, u32) = (1, 0, 1);
/// The newest ABI that is understood.
const NEWEST_ABI: u32 = 2;

/// The functions that came after 1.0, by family: when one of a family is missing, none of it is
/// used, because the objects of a library and of a stand-in do not mix.
const FAMILIES: &[&[&str]] = &[
    &["llam_runtime_spawn_ex"],
    &[
        "llam_timer_create_ex",
        "llam_timer_create",
        "llam_timer_wait",
        "llam_timer_wait_until",
        "llam_timer_reset",
        "llam_timer_cancel",
        "llam_timer_destroy",
    ],
    &[
        "llam_signal_set_create_ex",
        "llam_signal_wait",
        "llam_signal_wait_until",
        "llam_signal_set_destroy",
    ],
    &["llam_channel_try_send"],
    &["llam_channel_try_recv_result"],
    &["llam_writev"],
    &["llam_close"],
    &["llam_close_handle"],
    &["llam_recvfrom"],
    &["llam_sendto"],
    &["llam_pread"],
    &["llam_pwrite"],
    &["llam_preadv"],
    &["llam_pwritev"],
    &["llam_pread_handle"],
    &["llam_pwrite_handle"],
    &["llam_preadv_handle"],
    &["llam_pwritev_handle"],
    &["llam_recvfrom_owned"],
    &["llam_pread_owned_aligned"],
    &["llam_pread_handle_owned_aligned"],
    &["llam_io_buffer_opts_init"],
    &["llam_io_buffer_alloc_ex"],
    &["llam_io_buffer_alloc"],
    &["llam_io_buffer_alloc_aligned"],
    &["llam_io_buffer_alignment"],
    &["llam_getaddrinfo_result", "llam_freeaddrinfo_result"],
    &["llam_open_async"],
    &["llam_stat_path_ex"],
    &["llam_runtime_collect_stats_ex_handle"],
];

/// Functions that every release has, some of each kind.
const SINCE_1: &[&str] = &[
    "llam_runtime_init_ex",
    "llam_run",
    "llam_spawn_ex",
    "llam_join_until",
    "llam_channel_select",
    "llam_mutex_lock_until",
    "llam_cond_wait_until",
    "llam_cancel_token_create",
    "llam_task_group_create",
    "llam_call_blocking_result",
    "llam_read",
    "llam_poll_fd",
];

/// The functions of [`FAMILIES`] in one list.
pub(crate) static SINCE_2: std::sync::LazyLock<Vec<&'static str>> =
    std::sync::LazyLock::new(|| FAMILIES.concat());

/// How the library is linked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `lib<name>.a`, into the program.
    Static,
    /// `lib<name>.so` and its kin, found again when the program starts.
    Dylib,
}

impl Kind {
    /// What `cargo::rustc-link-lib` calls it.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dylib => "dylib",
        }
    }
}

/// Which library is linked, and how.
pub(crate) struct Linkage {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// One of the two variables is set.
    pub(crate) was_asked_for: bool,
}

impl Linkage {
    /// `LLAM_SYS_LIB_NAME` and `LLAM_SYS_LINK_KIND`, or their defaults.
    pub(crate) fn from_environment() -> Result<Self, String> {
        let was_asked_for =
            variable("LLAM_SYS_LIB_NAME").is_some() || variable("LLAM_SYS_LINK_KIND").is_some();
        let name = variable("LLAM_SYS_LIB_NAME").unwrap_or_else(|| "llam_runtime".to_owned());
        let kind = match variable("LLAM_SYS_LINK_KIND").as_deref() {
            None | Some("static") => Kind::Static,
            Some("dylib") => Kind::Dylib,
            Some(other) => {
                return Err(format!(
                    "LLAM_SYS_LINK_KIND is `{other}`; it must be `static` (the default) or `dylib`"
                ));
            }
        };
        Ok(Self {
            name,
            kind,
            was_asked_for,
        })
    }
}

/// An SDK that somebody named.
pub(crate) struct Sdk {
    pub(crate) include: PathBuf,
    pub(crate) libraries: PathBuf,
    /// What named it, for messages: a variable and its value.
    origin: String,
}

/// What an SDK's header says.
pub(crate) struct Facts {
    pub(crate) abi_major: u32,
    pub(crate) version: (u32, u32, u32),
    /// The functions of 2.1 that it does not declare.
    pub(crate) lacking: Vec<&'static str>,
    /// Some that it does declare, from each release.
    pub(crate) declared: Vec<&'static str>,
}

impl Sdk {
    /// The SDK below a prefix.
    pub(crate) fn below(prefix: &Path, origin: String) -> Self {
        Self {
            include: prefix.join("include"),
            libraries: prefix.join("lib"),
            origin,
        }
    }

    /// `LLAM_SYS_PREFIX`, or `LLAM_SYS_LIB_DIR` with `LLAM_SYS_INCLUDE_DIR`, or a prefix with one of
    /// them in place of its own part. `None` when none of the three is set.
    pub(crate) fn named_by_environment() -> Result<Option<Self>, String> {
        let include = variable("LLAM_SYS_INCLUDE_DIR").map(PathBuf::from);
        let libraries = variable("LLAM_SYS_LIB_DIR").map(PathBuf::from);
        for (name, folder) in [
            ("LLAM_SYS_INCLUDE_DIR", &include),
            ("LLAM_SYS_LIB_DIR", &libraries),
        ] {
            if let Some(folder) = folder {
                must_be_folder(name, folder)?;
            }
        }
        if let Some(prefix) = variable("LLAM_SYS_PREFIX").map(PathBuf::from) {
            must_be_folder("LLAM_SYS_PREFIX", &prefix)?;
            let mut sdk = Self::below(&prefix, format!("LLAM_SYS_PREFIX={}", prefix.display()));
            sdk.include = include.unwrap_or(sdk.include);
            sdk.libraries = libraries.unwrap_or(sdk.libraries);
            return Ok(Some(sdk));
        }
        match (include, libraries) {
            (None, None) => Ok(None),
            (Some(include), Some(libraries)) => Ok(Some(Self {
                origin: format!(
                    "LLAM_SYS_INCLUDE_DIR={} and LLAM_SYS_LIB_DIR={}",
                    include.display(),
                    libraries.display()
                ),
                include,
                libraries,
            })),
            (Some(include), None) => Err(format!(
                "LLAM_SYS_INCLUDE_DIR={} is set but LLAM_SYS_LIB_DIR is not; set both, or \
                 LLAM_SYS_PREFIX alone",
                include.display()
            )),
            (None, Some(libraries)) => Err(format!(
                "LLAM_SYS_LIB_DIR={} is set but LLAM_SYS_INCLUDE_DIR is not; set both, or \
                 LLAM_SYS_PREFIX alone",
                libraries.display()
            )),
        }
    }

    /// The folder that holds both parts, or else the one with the libraries.
    pub(crate) fn root(&self) -> PathBuf {
        match (self.include.parent(), self.libraries.parent()) {
            (Some(one), Some(other)) if one == other => one.to_owned(),
            _ => self.libraries.clone(),
        }
    }

    /// Reads the header and looks at the library.
    pub(crate) fn check(&self, linkage: &Linkage) -> Result<Facts, String> {
        let facts = self.facts()?;
        self.check_library(linkage, &facts)?;
        Ok(facts)
    }

    /// What the header says; an error when it is not there or not one that is understood.
    pub(crate) fn facts(&self) -> Result<Facts, String> {
        let path = self.include.join("llam/runtime.h");
        println!("cargo::rerun-if-changed={}", path.display());
        let mut text = fs::read_to_string(&path).map_err(|error| {
            format!(
                "{} leads to no SDK: the header {} cannot be read ({error}); name the folder that \
                 the LLAM SDK was installed in, or unset the variable to use the bundled engine",
                self.origin,
                path.display()
            )
        })?;
        let version = version(&text, "LLAM_VERSION")
            .and_then(|(major, minor)| Some((major, minor, number(&text, "LLAM_VERSION_PATCH")?)));
        let (Some(version), Some((abi_major, _))) = (version, version_of_abi(&text)) else {
            return Err(format!(
                "{}: the header {} does not say its version (LLAM_VERSION_MAJOR and its kin); it is \
                 not a header of LLAM, or is damaged: install the SDK again",
                self.origin,
                path.display()
            ));
        };
        let (major, minor, patch) = version;
        if version < OLDEST {
            return Err(format!(
                "{}: the header {} is of LLAM {major}.{minor}.{patch}; 1.0.1 is the oldest that \
                 works: install a newer SDK",
                self.origin,
                path.display()
            ));
        }
        if abi_major > NEWEST_ABI {
            return Err(format!(
                "{}: the header {} is of LLAM {major}.{minor}.{patch} with ABI {abi_major}; this \
                 crate knows ABI 1 and 2: use an SDK 2.x, or a newer llam-sys",
                self.origin,
                path.display()
            ));
        }
        // 1.x has no such file.
        if let Ok(io) = fs::read_to_string(self.include.join("llam/io.h")) {
            text.push_str(&io);
        }
        let lacking = FAMILIES
            .iter()
            .filter(|family| !family.iter().all(|name| declares(&text, name)))
            .flat_map(|family| family.iter().copied())
            .collect();
        let declared = SINCE_1
            .iter()
            .chain(SINCE_2.iter())
            .copied()
            .filter(|name| declares(&text, name))
            .collect();
        Ok(Facts {
            abi_major,
            version,
            lacking,
            declared,
        })
    }

    /// Whether the library is there and made for the target.
    fn check_library(&self, linkage: &Linkage, facts: &Facts) -> Result<(), String> {
        let file = library::file_name(&linkage.name, linkage.kind);
        let path = self.libraries.join(&file);
        println!("cargo::rerun-if-changed={}", path.display());
        if !path.is_file() {
            return Err(format!(
                "{}: there are headers, but no library {}; install the whole SDK, set \
                 LLAM_SYS_LIB_DIR to the folder that holds {file}, or choose another kind or name \
                 with LLAM_SYS_LINK_KIND and LLAM_SYS_LIB_NAME",
                self.origin,
                path.display()
            ));
        }
        match library::fit(&path, linkage.kind, &facts.declared) {
            Fit::Same | Fit::Unknown => Ok(()),
            Fit::Lacks(function) => Err(format!(
                "{}: the header declares {function}, but the library {} does not have it; header and \
                 library are of different releases, or it is another library: install the SDK again, \
                 or name the parts that belong together",
                self.origin,
                path.display()
            )),
            Fit::Other { found, wanted } => Err(format!(
                "{}: the library {} is for {found}, but the target of this build is {wanted}; name \
                 an SDK for {wanted}",
                self.origin,
                path.display()
            )),
            Fit::Unreadable(why) => Err(format!(
                "{}: the library {} is no library ({why}); install the SDK again",
                self.origin,
                path.display()
            )),
        }
    }

    /// What a static library needs from the system: as its pkg-config file says, or else what
    /// appendix B.4 of the contract lists.
    pub(crate) fn system_libraries(&self, kind: Kind) -> Vec<String> {
        if kind == Kind::Dylib {
            return Vec::new();
        }
        let package = fs::read_to_string(self.libraries.join("pkgconfig/llam.pc"));
        let private = package.as_deref().ok().and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("Libs.private:"))
        });
        if let Some(flags) = private {
            return flags
                .split_whitespace()
                .filter_map(|flag| match flag {
                    "-pthread" => Some("pthread"),
                    other => other.strip_prefix("-l"),
                })
                .map(str::to_owned)
                .collect();
        }
        let names: &[&str] = match library::target_os().as_str() {
            "linux" => &["uring", "m", "pthread"],
            "netbsd" => &["pthread", "rt"],
            "windows" => &["ws2_32", "mswsock", "synchronization", "advapi32"],
            _ => &["pthread"],
        };
        names.iter().map(|&name| name.to_owned()).collect()
    }
}

/// A build script runs in a folder of its own, so a relative path would mean another place.
pub(crate) fn must_be_absolute(name: &str, path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        return Ok(());
    }
    Err(format!(
        "{name}={} is a relative path, which a build script would look up in the folder of its own \
         crate; set it to an absolute path",
        path.display()
    ))
}

fn must_be_folder(name: &str, folder: &Path) -> Result<(), String> {
    must_be_absolute(name, folder)?;
    if folder.is_dir() {
        return Ok(());
    }
    Err(format!(
        "{name}={} is not a folder; set it to where the LLAM SDK is installed, or unset it to use \
         the bundled engine",
        folder.display()
    ))
}

/// The number that a macro is defined as.
fn number(header: &str, name: &str) -> Option<u32> {
    header.lines().find_map(|line| {
        let mut words = line
            .trim_start()
            .strip_prefix("#define")?
            .split_whitespace();
        if words.next()? != name {
            return None;
        }
        words.next()?.trim_end_matches(['u', 'U']).parse().ok()
    })
}

fn version(header: &str, stem: &str) -> Option<(u32, u32)> {
    let major = number(header, &format!("{stem}_MAJOR"))?;
    Some((major, number(header, &format!("{stem}_MINOR"))?))
}

fn version_of_abi(header: &str) -> Option<(u32, u32)> {
    version(header, "LLAM_ABI_VERSION")
}

/// Whether the text has a prototype of the function: its name, then an opening parenthesis.
fn declares(header: &str, function: &str) -> bool {
    header.match_indices(function).any(|(at, _)| {
        let before = header[..at].chars().next_back();
        let after = header[at + function.len()..].trim_start();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') && after.starts_with('(')
    })
}
