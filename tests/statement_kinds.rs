//! Every kind of statement that Postgres 15 to 18 have is named: an approver reads `reindex table public.orders`, not
//! `unknown`.
//!
//! `testdata/sql/kinds.txt` has a statement or more for each alternative of `stmt` in `gram.y`, and under it the
//! command, what it does to what, and why it waits; `PGSLUICE_UPDATE=1` writes the answers anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use pgsluice::sql::{Action, LexerSettings, Statement, analyze};

/// The alternatives of `stmt` in `src/backend/parser/gram.y` of Postgres 18, which are those of 15 to 17 too.
const STMT: &[&str] = &[
    "AlterEventTrigStmt",
    "AlterCollationStmt",
    "AlterDatabaseStmt",
    "AlterDatabaseSetStmt",
    "AlterDefaultPrivilegesStmt",
    "AlterDomainStmt",
    "AlterEnumStmt",
    "AlterExtensionStmt",
    "AlterExtensionContentsStmt",
    "AlterFdwStmt",
    "AlterForeignServerStmt",
    "AlterFunctionStmt",
    "AlterGroupStmt",
    "AlterObjectDependsStmt",
    "AlterObjectSchemaStmt",
    "AlterOwnerStmt",
    "AlterOperatorStmt",
    "AlterTypeStmt",
    "AlterPolicyStmt",
    "AlterSeqStmt",
    "AlterSystemStmt",
    "AlterTableStmt",
    "AlterTblSpcStmt",
    "AlterCompositeTypeStmt",
    "AlterPublicationStmt",
    "AlterRoleSetStmt",
    "AlterRoleStmt",
    "AlterSubscriptionStmt",
    "AlterStatsStmt",
    "AlterTSConfigurationStmt",
    "AlterTSDictionaryStmt",
    "AlterUserMappingStmt",
    "AnalyzeStmt",
    "CallStmt",
    "CheckPointStmt",
    "ClosePortalStmt",
    "ClusterStmt",
    "CommentStmt",
    "ConstraintsSetStmt",
    "CopyStmt",
    "CreateAmStmt",
    "CreateAsStmt",
    "CreateAssertionStmt",
    "CreateCastStmt",
    "CreateConversionStmt",
    "CreateDomainStmt",
    "CreateExtensionStmt",
    "CreateFdwStmt",
    "CreateForeignServerStmt",
    "CreateForeignTableStmt",
    "CreateFunctionStmt",
    "CreateGroupStmt",
    "CreateMatViewStmt",
    "CreateOpClassStmt",
    "CreateOpFamilyStmt",
    "CreatePublicationStmt",
    "AlterOpFamilyStmt",
    "CreatePolicyStmt",
    "CreatePLangStmt",
    "CreateSchemaStmt",
    "CreateSeqStmt",
    "CreateStmt",
    "CreateSubscriptionStmt",
    "CreateStatsStmt",
    "CreateTableSpaceStmt",
    "CreateTransformStmt",
    "CreateTrigStmt",
    "CreateEventTrigStmt",
    "CreateRoleStmt",
    "CreateUserStmt",
    "CreateUserMappingStmt",
    "CreatedbStmt",
    "DeallocateStmt",
    "DeclareCursorStmt",
    "DefineStmt",
    "DeleteStmt",
    "DiscardStmt",
    "DoStmt",
    "DropCastStmt",
    "DropOpClassStmt",
    "DropOpFamilyStmt",
    "DropOwnedStmt",
    "DropStmt",
    "DropSubscriptionStmt",
    "DropTableSpaceStmt",
    "DropTransformStmt",
    "DropRoleStmt",
    "DropUserMappingStmt",
    "DropdbStmt",
    "ExecuteStmt",
    "ExplainStmt",
    "FetchStmt",
    "GrantStmt",
    "GrantRoleStmt",
    "ImportForeignSchemaStmt",
    "IndexStmt",
    "InsertStmt",
    "ListenStmt",
    "RefreshMatViewStmt",
    "LoadStmt",
    "LockStmt",
    "MergeStmt",
    "NotifyStmt",
    "PrepareStmt",
    "ReassignOwnedStmt",
    "ReindexStmt",
    "RemoveAggrStmt",
    "RemoveFuncStmt",
    "RemoveOperStmt",
    "RenameStmt",
    "RevokeStmt",
    "RevokeRoleStmt",
    "RuleStmt",
    "SecLabelStmt",
    "SelectStmt",
    "TransactionStmt",
    "TruncateStmt",
    "UnlistenStmt",
    "UpdateStmt",
    "VacuumStmt",
    "VariableResetStmt",
    "VariableSetStmt",
    "VariableShowStmt",
    "ViewStmt",
];

fn cases() -> Vec<(String, String)> {
    let text = include_str!("../testdata/sql/kinds.txt");
    let lines = text.lines().filter(|line| !line.starts_with(['#', ' ']) && !line.is_empty());
    lines.map(|line| line.split_once(": ").unwrap()).map(|(rule, sql)| (rule.to_owned(), sql.to_owned())).collect()
}

fn analyzed(sql: &str) -> Statement {
    let mut statements = analyze(sql.as_bytes(), &LexerSettings::default()).statements;
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0)
}

/// What an approver reads.
fn answer(statement: &Statement) -> String {
    let mut out = format!("    {}\n", statement.command);
    for effect in &statement.effects {
        let mild = if effect.harmless {
            " (harmless)"
        } else if effect.temporary {
            " (temporary)"
        } else {
            ""
        };
        let _ = writeln!(out, "    - {effect}{mild}");
    }
    for reason in &statement.reasons {
        let _ = writeln!(out, "    because {reason}");
    }
    out
}

#[test]
fn every_kind_of_statement_is_named() {
    for (rule, sql) in cases() {
        let statement = analyzed(&sql);
        // Postgres knows the words and says that it is not implemented.
        if rule == "CreateAssertionStmt" {
            assert!(pg_query::parse(&sql, 0).is_err() && statement.has_unknown());
            continue;
        }
        assert!(pg_query::parse(&sql, 0).is_ok(), "{sql}: {:?}", pg_query::parse(&sql, 0).err());
        assert!(!statement.has_unknown(), "{sql}: {:?}", statement.reasons);
        assert_ne!(statement.command, "unknown", "{sql}");
        let waits = statement.effects.iter().any(|effect| {
            !effect.harmless && !effect.temporary && !matches!(effect.action, Action::Read | Action::Insert)
        });
        let unnamed =
            statement.effects.iter().any(|effect| effect.action != Action::Read && effect.object.name.is_empty());
        assert!(!waits || !unnamed || !statement.reasons.is_empty(), "{sql}: {:?}", statement.effects);
    }
}

#[test]
fn there_is_a_case_for_every_kind() {
    let cases: BTreeSet<String> = cases().into_iter().map(|(rule, _)| rule).collect();
    let kinds: BTreeSet<String> = STMT.iter().map(|kind| (*kind).to_owned()).collect();
    assert_eq!(cases, kinds);
}

#[test]
fn the_answers_are_as_written_down() {
    let mut answers = "# A statement or more of each kind, and what is said of it. The kinds are the alternatives of `stmt` in gram.y.\n".to_owned();
    for (rule, sql) in cases() {
        let _ = write!(answers, "\n{rule}: {sql}\n{}", answer(&analyzed(&sql)));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sql/kinds.txt");
    if std::env::var_os("PGSLUICE_UPDATE").is_some() {
        return std::fs::write(file, answers).unwrap();
    }
    assert!(std::fs::read_to_string(file).unwrap() == answers, "testdata/sql/kinds.txt is stale: PGSLUICE_UPDATE=1");
}
