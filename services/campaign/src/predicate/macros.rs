//! CEL's parser expands `items.exists(i, …)` and `items.all(i, …)` into a fold; here they are recognised again.

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

/// A fold that was `exists` or `all`.
pub(super) struct Quantifier<'e> {
    pub range: &'e IdedExpr,
    pub variable: &'e str,
    pub condition: &'e IdedExpr,
    pub every: bool,
}

/// None where it was another macro (`map`, `filter`, `exists_one`).
pub(super) fn quantifier(fold: &ComprehensionExpr) -> Option<Quantifier<'_>> {
    let Expr::Literal(LiteralValue::Boolean(start)) = &fold.accu_init.expr else { return None };
    let every = **start;
    let Expr::Call(step) = &fold.loop_step.expr else { return None };
    let wanted = if every { operators::LOGICAL_AND } else { operators::LOGICAL_OR };
    let [accumulated, condition] = step.args.as_slice() else { return None };
    let folds = matches!(&accumulated.expr, Expr::Ident(name) if *name == fold.accu_var);
    let plain = fold.iter_var2.is_none();
    (step.func_name == wanted && folds && plain).then_some(Quantifier {
        range: &fold.iter_range,
        variable: &fold.iter_var,
        condition,
        every,
    })
}
