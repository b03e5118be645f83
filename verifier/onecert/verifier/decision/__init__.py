"""Decide from proved attributes: policies, questions, answers with their reasons, and a log of them.

Compiling a policy needs ``pip install onecert-verifier[decide]``.
"""

from onecert.verifier.decision.coverage import Coverage, measure_coverage
from onecert.verifier.decision.decider import Decider
from onecert.verifier.decision.deciding import Act, Decision, PolicyInForce, Reason, Subject, conclude
from onecert.verifier.decision.difference import Change, Recorded, find_changes
from onecert.verifier.decision.engine import PolicyEngine, check_policy, compile_policy
from onecert.verifier.decision.errors import (
    DecisionLogError,
    Fault,
    PolicyTestsFailedError,
    PolicyWrongError,
    QuestionWrongError,
)
from onecert.verifier.decision.facts import DroppedValue, Facts, prove
from onecert.verifier.decision.lint import lint
from onecert.verifier.decision.log import DecisionLog
from onecert.verifier.decision.plain import read_plain, read_resource, read_text
from onecert.verifier.decision.published import DecisionRules, SignedPolicy, read_policy, read_rules
from onecert.verifier.decision.question import Answer, Question, Resource, Result
from onecert.verifier.decision.records import DecisionRecord, DecisionRecords
from onecert.verifier.decision.role_model import Activation, Exclusion, RoleModel
from onecert.verifier.decision.source import PolicyCase, PolicySource
from onecert.verifier.decision.what_can import Possibility, what_can

__all__ = [
    "Act",
    "Activation",
    "Answer",
    "Change",
    "Coverage",
    "Decider",
    "Decision",
    "DecisionLog",
    "DecisionLogError",
    "DecisionRecord",
    "DecisionRecords",
    "DecisionRules",
    "DroppedValue",
    "Exclusion",
    "Facts",
    "Fault",
    "PolicyCase",
    "PolicyEngine",
    "PolicyInForce",
    "PolicySource",
    "PolicyTestsFailedError",
    "PolicyWrongError",
    "Possibility",
    "Question",
    "QuestionWrongError",
    "Reason",
    "Recorded",
    "Resource",
    "Result",
    "RoleModel",
    "SignedPolicy",
    "Subject",
    "check_policy",
    "compile_policy",
    "conclude",
    "find_changes",
    "lint",
    "measure_coverage",
    "prove",
    "read_plain",
    "read_policy",
    "read_resource",
    "read_rules",
    "read_text",
    "what_can",
]
