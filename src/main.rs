//! The `pgsluice` binary.

fn main() -> std::process::ExitCode {
    pgsluice::cli::main()
}
