//! Tokens to the syntax tree. Refuses every directive that it does not know, by name and line.

use super::token::{Kind, Token, tokens};
use super::tree::*;
use crate::error::LoadError;

type Result<T> = std::result::Result<T, LoadError>;

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

/// The tree of a whole module.
pub fn parse(source: &str) -> Result<Tree> {
    let mut parser = Parser {
        tokens: tokens(source)?,
        at: 0,
    };
    let mut tree = Tree::default();
    while parser.at < parser.tokens.len() {
        parser.module_item(&mut tree)?;
    }
    if tree.version == (0, 0) || tree.target == 0 {
        return Err(LoadError::new(1, "`.version` and `.target` are missing"));
    }
    Ok(tree)
}

impl Parser {
    fn line(&self) -> u32 {
        let last = self.tokens.last().map_or(1, |token| token.line);
        self.tokens.get(self.at).map_or(last, |token| token.line)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(LoadError::new(self.line(), message))
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn peek_word(&self) -> &str {
        match self.peek() {
            Some(Kind::Word(word)) => word,
            _ => "",
        }
    }

    fn is(&self, mark: char) -> bool {
        self.peek() == Some(&Kind::Mark(mark))
    }

    fn take(&mut self, mark: char) -> bool {
        let found = self.is(mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: char) -> Result<()> {
        if self.take(mark) {
            return Ok(());
        }
        self.error(format!("expected `{mark}`, found {:?}", self.peek()))
    }

    fn word(&mut self) -> Result<String> {
        match self.peek() {
            Some(Kind::Word(word)) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            other => self.error(format!("expected a name, found {other:?}")),
        }
    }

    fn integer(&mut self) -> Result<u64> {
        let negative = self.take('-');
        match self.peek() {
            Some(&Kind::Integer(value)) => {
                self.at += 1;
                Ok(if negative {
                    value.wrapping_neg()
                } else {
                    value
                })
            }
            other => self.error(format!("expected an integer, found {other:?}")),
        }
    }

    fn skip_line(&mut self) {
        let line = self.line();
        while self.at < self.tokens.len() && self.line() == line {
            self.at += 1;
        }
    }

    fn module_item(&mut self, tree: &mut Tree) -> Result<()> {
        let line = self.line();
        let word = self.word()?;
        match word.as_str() {
            ".version" => {
                let text = self.word()?;
                let Some((major, minor)) = text
                    .split_once('.')
                    .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))
                else {
                    return Err(LoadError::new(line, format!("not a version: `{text}`")));
                };
                tree.version = (major, minor);
            }
            ".target" => {
                let target = self.word()?;
                let digits = target.strip_prefix("sm_").unwrap_or("");
                tree.target = digits.parse().map_err(|_| {
                    LoadError::new(line, format!("`.target {target}` is not supported"))
                })?;
                while self.take(',') {
                    let option = self.word()?;
                    if option != "debug" {
                        return Err(LoadError::new(
                            line,
                            format!("`.target` option `{option}` is not supported"),
                        ));
                    }
                }
            }
            ".address_size" => {
                if self.integer()? != 64 {
                    return Err(LoadError::new(line, "only `.address_size 64` is supported"));
                }
            }
            ".file" | ".loc" => self.skip_line(),
            ".section" => {
                self.word()?;
                self.expect('{')?;
                while !self.take('}') {
                    if self.peek().is_none() {
                        return self.error("`.section` without an end");
                    }
                    self.at += 1;
                }
            }
            ".visible" | ".weak" | ".extern" | ".common" => {
                let external = word == ".extern";
                if self.peek_word() == ".func" || self.peek_word() == ".entry" {
                    if external {
                        return self.error("an `.extern` function has no body to run");
                    }
                    return self.module_item(tree);
                }
                let variable = self.variable()?;
                if variable.dynamic != external {
                    return Err(LoadError::new(
                        line,
                        "`.extern` is supported for `.shared name[]` only",
                    ));
                }
                self.expect(';')?;
                tree.variables.push(variable);
            }
            ".global" | ".const" | ".shared" => {
                self.at -= 1;
                let variable = self.variable()?;
                self.expect(';')?;
                tree.variables.push(variable);
            }
            ".entry" | ".func" => {
                let function = self.function(word == ".entry", line)?;
                if let Some(function) = function {
                    tree.functions.push(function);
                }
            }
            other => {
                return Err(LoadError::new(
                    line,
                    format!("directive `{other}` is not supported"),
                ));
            }
        }
        Ok(())
    }

    /// A declaration from its state space to before the `;`.
    fn variable(&mut self) -> Result<Variable> {
        let line = self.line();
        let word = self.word()?;
        let Some(space) = word.strip_prefix('.').and_then(Space::named) else {
            return Err(LoadError::new(
                line,
                format!("expected a state space, found `{word}`"),
            ));
        };
        let mut align = 0;
        let mut ty = None;
        let mut lanes = 1;
        while self.peek_word().starts_with('.') {
            let word = self.word()?;
            match &word[1..] {
                "align" => align = self.integer()?,
                "v2" => lanes = 2,
                "v4" => lanes = 4,
                // An annotation of pointer parameters: `.ptr .global .align 4`.
                "ptr" => {
                    while matches!(
                        self.peek_word(),
                        ".global" | ".const" | ".shared" | ".local" | ".align"
                    ) {
                        if self.word()? == ".align" {
                            self.integer()?;
                        }
                    }
                }
                name => match Type::named(name) {
                    Some(found) if found != Type::Pred => ty = Some(found),
                    _ => return Err(LoadError::new(line, format!("`.{name}` in a declaration"))),
                },
            }
        }
        let Some(ty) = ty else {
            return Err(LoadError::new(line, "a declaration without a type"));
        };
        let name = self.word()?;
        let mut bytes = ty.bytes() * lanes;
        if align == 0 {
            align = bytes;
        }
        let mut dynamic = false;
        while self.take('[') {
            if self.take(']') {
                dynamic = true;
                bytes = 0;
                continue;
            }
            bytes = bytes
                .checked_mul(self.integer()?)
                .ok_or_else(|| LoadError::new(line, "the variable is too large"))?;
            self.expect(']')?;
        }
        let mut initial = Vec::new();
        if self.take('=') {
            self.initialiser(ty, &mut initial)?;
            if initial.len() as u64 > bytes {
                return Err(LoadError::new(
                    line,
                    format!("too many initial values for `{name}`"),
                ));
            }
            initial.resize(bytes as usize, 0);
        }
        if !align.is_power_of_two() || (dynamic && space != Space::Shared) {
            return Err(LoadError::new(
                line,
                format!("the declaration of `{name}` is malformed"),
            ));
        }
        Ok(Variable {
            space,
            name,
            align,
            bytes,
            dynamic,
            initial,
            line,
        })
    }

    fn initialiser(&mut self, ty: Type, bytes: &mut Vec<u8>) -> Result<()> {
        if self.take('{') {
            while !self.take('}') {
                self.initialiser(ty, bytes)?;
                self.take(',');
            }
            return Ok(());
        }
        match self.peek().cloned() {
            Some(Kind::F32(bits)) if ty == Type::F32 => bytes.extend(bits.to_le_bytes()),
            Some(Kind::F64(bits)) if ty == Type::F64 => bytes.extend(bits.to_le_bytes()),
            Some(Kind::Integer(_) | Kind::Mark('-')) if !ty.is_float() => {
                let value = self.integer()?;
                self.at -= 1;
                bytes.extend(&value.to_le_bytes()[..ty.bytes() as usize]);
            }
            other => {
                return self.error(format!(
                    "{other:?} as an initial value of {ty:?} is not supported"
                ));
            }
        }
        self.at += 1;
        Ok(())
    }

    fn parameters(&mut self) -> Result<Vec<Variable>> {
        let mut found = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            let variable = self.variable()?;
            if variable.space != Space::Param {
                return self.error("only `.param` parameters are supported");
            }
            found.push(variable);
            self.take(',');
        }
        Ok(found)
    }

    /// From after `.entry` or `.func` to the closing brace; `None` for a declaration without a body.
    fn function(&mut self, entry: bool, line: u32) -> Result<Option<Function>> {
        let mut function = Function {
            name: String::new(),
            entry,
            parameters: Vec::new(),
            returns: Vec::new(),
            body: Vec::new(),
            max_threads: None,
            required: None,
            line,
        };
        if self.is('(') {
            function.returns = self.parameters()?;
        }
        function.name = self.word()?;
        if self.is('(') {
            function.parameters = self.parameters()?;
        }
        while self.peek_word().starts_with('.') {
            let line = self.line();
            let directive = self.word()?;
            if directive == ".noreturn" {
                continue;
            }
            let mut sizes = vec![self.integer()?];
            while self.take(',') {
                sizes.push(self.integer()?);
            }
            sizes.resize(3, 1);
            match directive.as_str() {
                ".maxntid" => function.max_threads = Some(sizes.iter().product()),
                ".reqntid" => {
                    function.required = Some([sizes[0], sizes[1], sizes[2]].map(|n| n as u32));
                }
                ".minnctapersm" | ".maxnreg" | ".maxnctapersm" => {}
                other => {
                    return Err(LoadError::new(
                        line,
                        format!("directive `{other}` not supported"),
                    ));
                }
            }
        }
        if self.take(';') {
            return Ok(None);
        }
        self.expect('{')?;
        let mut depth = 0;
        loop {
            if self.take('{') {
                depth += 1;
                function.body.push(Statement::Open);
            } else if self.take('}') {
                if depth == 0 {
                    return Ok(Some(function));
                }
                depth -= 1;
                function.body.push(Statement::Close);
            } else {
                self.statement(&mut function.body)?;
            }
        }
    }

    fn statement(&mut self, body: &mut Vec<Statement>) -> Result<()> {
        let line = self.line();
        let mut guard = None;
        if self.take('@') {
            let negated = self.take('!');
            guard = Some((self.word()?, negated));
        }
        let word = self.word()?;
        if self.take(':') {
            if self.peek_word() == ".branchtargets" {
                self.word()?;
                let mut labels = vec![self.word()?];
                while self.take(',') {
                    labels.push(self.word()?);
                }
                self.expect(';')?;
                body.push(Statement::Targets {
                    name: word,
                    labels,
                    line,
                });
            } else {
                body.push(Statement::Label(word, line));
            }
            return Ok(());
        }
        match word.as_str() {
            ".loc" => self.skip_line(),
            ".pragma" => {
                self.at += 1;
                self.expect(';')?;
            }
            ".reg" => {
                let name = self.word()?;
                let Some(ty) = name.strip_prefix('.').and_then(Type::named) else {
                    return Err(LoadError::new(line, format!("registers of type `{name}`")));
                };
                loop {
                    let name = self.word()?;
                    let mut count = None;
                    if self.take('<') {
                        count = Some(self.integer()?);
                        self.expect('>')?;
                    }
                    body.push(Statement::Registers {
                        ty,
                        name,
                        count,
                        line,
                    });
                    if !self.take(',') {
                        break;
                    }
                }
                self.expect(';')?;
            }
            ".shared" | ".local" | ".param" | ".global" | ".const" => {
                self.at -= 1;
                let variable = self.variable()?;
                self.expect(';')?;
                body.push(Statement::Variable(variable));
            }
            _ if word.starts_with('.') => {
                return Err(LoadError::new(
                    line,
                    format!("directive `{word}` is not supported"),
                ));
            }
            _ => {
                let mut operands = Vec::new();
                while !self.take(';') {
                    operands.push(self.operand()?);
                    if !self.take(',') && !self.is(';') {
                        return self
                            .error(format!("expected `,` or `;` after an operand of `{word}`"));
                    }
                }
                let opcode = word.split('.').map(str::to_owned).collect();
                body.push(Statement::Instruction(Instruction {
                    line,
                    guard,
                    opcode,
                    operands,
                }));
            }
        }
        Ok(())
    }

    fn operands_until(&mut self, end: char) -> Result<Vec<Operand>> {
        let mut found = Vec::new();
        while !self.take(end) {
            found.push(self.operand()?);
            self.take(',');
        }
        Ok(found)
    }

    fn operand(&mut self) -> Result<Operand> {
        if self.take('{') {
            return Ok(Operand::Vector(self.operands_until('}')?));
        }
        if self.take('(') {
            return Ok(Operand::List(self.operands_until(')')?));
        }
        if self.take('!') {
            return Ok(Operand::Not(self.word()?));
        }
        if self.take('[') {
            return self.address();
        }
        match self.peek().cloned() {
            Some(Kind::F32(bits)) => {
                self.at += 1;
                Ok(Operand::F32(bits))
            }
            Some(Kind::F64(bits)) => {
                self.at += 1;
                Ok(Operand::F64(bits))
            }
            Some(Kind::Integer(_) | Kind::Mark('-')) => Ok(Operand::Integer(self.integer()?)),
            _ => {
                let name = self.word()?;
                if name == "_" {
                    return Ok(Operand::Sink);
                }
                if self.take('|') {
                    return Ok(Operand::Pair(name, self.word()?));
                }
                Ok(Operand::Name(name))
            }
        }
    }

    /// `base`, `base+n`, `base-n` or `n`, up to the `]`.
    fn address(&mut self) -> Result<Operand> {
        let mut base = None;
        let mut offset = 0;
        if matches!(self.peek(), Some(Kind::Word(_))) {
            base = Some(self.word()?);
            if self.take('+') || self.is('-') {
                offset = self.integer()? as i64;
            }
        } else {
            offset = self.integer()? as i64;
        }
        self.expect(']')?;
        Ok(Operand::Address { base, offset })
    }
}
