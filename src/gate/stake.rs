//! What of a statement matters most: what people are told first, and have to type.

use std::cmp::Reverse;

use super::HoldView;
use super::view::ActionView;
use crate::blast::Rows;
use crate::blast::radius::{TouchedRelation, Via};
use crate::sql::Action;

/// One thing that a statement does to one object, of its own accord: not what follows by cascades or triggers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stake {
    /// What is done.
    pub action: Action,
    /// The object's schema.
    pub schema: Option<String>,
    /// Its name; empty where the statement names none.
    pub name: String,
    /// How many of its rows.
    pub rows: Rows,
    weight: Weight,
}

/// What an object weighs beside others to which the same is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// It has no rows of its own.
    Part,
    Whole,
}

impl HoldView {
    /// All that the statement does, worst first; of what is equally bad, what touches most rows. An unknown number is
    /// the greatest.
    #[must_use]
    pub fn stakes(&self) -> Vec<Stake> {
        let own = |relation: &&TouchedRelation| relation.via == Via::Statement;
        let relations = self.radius.iter().flat_map(|radius| &radius.relations);
        let mut stakes: Vec<Stake> = relations.clone().filter(own).filter_map(Stake::of_relation).collect();
        // What is only possible follows from something: a trigger's function, a table behind a foreign key.
        add(&mut stakes, self.actions.iter().filter(|action| action.certain));
        if stakes.is_empty() {
            add(&mut stakes, &self.actions);
        }
        if stakes.is_empty() {
            stakes.extend(relations.filter_map(Stake::of_relation));
        }
        if let ([only], Some(radius)) = (stakes.as_mut_slice(), &self.radius) {
            only.rows = radius.rows;
        }
        stakes.sort_by_key(|stake| {
            let rows = stake.rows.value.unwrap_or(u64::MAX);
            Reverse((badness(stake.action), !stake.name.trim().is_empty(), stake.weight, rows))
        });
        stakes
    }
}

/// Adds what is not among them yet.
fn add<'a>(stakes: &mut Vec<Stake>, actions: impl IntoIterator<Item = &'a ActionView>) {
    for action in actions {
        let known = stakes.iter().any(|stake| stake.is_of(action));
        if !known && badness(action.action).is_some() {
            stakes.push(Stake {
                action: action.action,
                schema: action.schema.clone(),
                name: action.name.clone(),
                rows: Rows::UNKNOWN,
                weight: weight(&action.kind),
            });
        }
    }
}

impl Stake {
    fn of_relation(relation: &TouchedRelation) -> Option<Self> {
        let action = Action::ALL.into_iter().find(|action| action.as_str() == relation.action)?;
        badness(action)?;
        Some(Self {
            action,
            schema: relation.schema.clone(),
            name: relation.name.clone(),
            rows: relation.rows,
            weight: weight(&relation.kind),
        })
    }

    /// The statement may leave the schema to the search path, which the radius has followed.
    fn is_of(&self, action: &ActionView) -> bool {
        let same_schema = match (&self.schema, &action.schema) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.action == action.action && self.name == action.name && same_schema
    }
}

/// How bad an action is at its worst; `None`: nothing is changed by it.
const fn badness(action: Action) -> Option<u8> {
    Some(match action {
        Action::Drop | Action::Truncate => 7,
        Action::Delete => 6,
        Action::Alter | Action::Grant | Action::Execute | Action::Host | Action::Replicate | Action::Unknown => 5,
        Action::Update => 4,
        Action::Insert | Action::Create => 3,
        Action::Maintain => 2,
        Action::Set => 1,
        Action::Lock | Action::Transaction => 0,
        Action::Read => return None,
    })
}

fn weight(kind: &str) -> Weight {
    match kind {
        "column" | "index" | "trigger" | "rule" | "policy" | "constraint" | "statistics" => Weight::Part,
        _ => Weight::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::view::sample;

    fn action(action: Action, name: &str) -> ActionView {
        ActionView { action, kind: "table".to_owned(), schema: None, name: name.to_owned(), certain: true }
    }

    fn relation(action: Action, name: &str, via: Via, rows: Rows) -> TouchedRelation {
        let sample = sample::radius().relations.swap_remove(0);
        TouchedRelation { action: action.as_str().to_owned(), name: name.to_owned(), via, rows, ..sample }
    }

    /// What a statement does, as its text says and as the catalog adds, worst first.
    fn ordered(actions: Vec<ActionView>, relations: Option<Vec<TouchedRelation>>) -> Vec<String> {
        let radius = relations.map(|relations| crate::blast::Radius { relations, ..sample::radius() });
        let stakes = HoldView { actions, radius, ..sample::hold() }.stakes();
        stakes.iter().map(|stake| format!("{} {}", stake.action, stake.name)).collect()
    }

    #[test]
    fn the_worst_action_comes_first() {
        let mildest_first = [
            Action::Transaction,
            Action::Set,
            Action::Maintain,
            Action::Insert,
            Action::Update,
            Action::Alter,
            Action::Delete,
            Action::Drop,
        ];
        let actions = mildest_first.map(|what| action(what, "t")).to_vec();
        let mut expected = mildest_first.map(|what| format!("{what} t")).to_vec();
        expected.reverse();
        assert_eq!(ordered(actions, None), expected);
        assert_eq!(ordered(vec![action(Action::Read, "t")], None), [""; 0]);
    }

    #[test]
    fn then_what_touches_most_rows_and_an_unknown_number_is_the_greatest() {
        let relations = vec![
            relation(Action::Delete, "small", Via::Statement, Rows::planner(1)),
            relation(Action::Delete, "unknown", Via::Statement, Rows::UNKNOWN),
            relation(Action::Delete, "large", Via::Statement, Rows::planner(100_000)),
            relation(Action::Truncate, "empty", Via::Statement, Rows::exact(0)),
        ];
        let expected = ["truncate empty", "delete unknown", "delete large", "delete small"];
        assert_eq!(ordered(Vec::new(), Some(relations)), expected);
    }

    #[test]
    fn text_and_catalog_are_put_together() {
        let actions = vec![action(Action::Delete, "small"), action(Action::Drop, "f")];
        let relations = vec![relation(Action::Delete, "small", Via::Statement, Rows::planner(1))];
        assert_eq!(ordered(actions, Some(relations)), ["drop f", "delete small"]);
    }

    #[test]
    fn what_follows_by_itself_is_no_stake() {
        let run = ActionView { certain: false, ..action(Action::Execute, "log_it") };
        let behind = ActionView { certain: false, ..action(Action::Delete, "order_items") };
        let actions = vec![action(Action::Update, "orders"), run.clone(), behind];
        let relations = vec![
            relation(Action::Update, "orders", Via::Statement, Rows::planner(1)),
            relation(Action::Delete, "order_items", Via::Cascade, Rows::UNKNOWN),
        ];
        assert_eq!(ordered(actions, Some(relations)), ["update orders"]);
        // But where there is nothing else, it is what people have to know.
        assert_eq!(ordered(vec![run], None), ["execute log_it"]);
    }

    #[test]
    fn a_whole_table_weighs_more_than_a_part_of_one() {
        let column = ActionView { kind: "column".to_owned(), ..action(Action::Drop, "a.b") };
        let relations = vec![relation(Action::Drop, "customers", Via::Statement, Rows::exact(3))];
        assert_eq!(ordered(vec![column], Some(relations)), ["drop customers", "drop a.b"]);
    }
}
