"""Sparse multinomial classifier: cross-entropy with an elastic-net penalty (DANCE, Eq. 6).

The problem is convex and is solved to a stated residual of its optimality (KKT) conditions, by accelerated proximal
gradient descent (FISTA: Beck and Teboulle, 2009) on all samples, with adaptive restart (O'Donoghue and Candes, 2015).

Axes: N sample, M concept, K class.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from pipeline.errors import ChoreoError


class ElasticNetClassifier(ClassifierMixin, BaseEstimator):
    """Minimise  mean cross-entropy + lam * [(1 - alpha)/2 * ||W||_F^2 + alpha * ||W||_1];  the bias is not penalised.

    The paper's Eq. 6 writes the Frobenius norm without its square; the elastic net that it cites has the square.

    Args:
        lam: strength of the penalty.
        alpha: share of the l1 part; 1 is the lasso, 0 is ridge.
        tol: largest KKT residual at which to stop; lam * alpha is the scale to compare it with.
        max_iter: most iterations; a warning says when they did not suffice.

    Attributes:
        classes_: class labels (K,).
        coef_: weights (K,M), float64, with exact zeros.
        intercept_: biases (K,).
        kkt_: largest violation of the optimality conditions at the solution.
        objective_: value of the objective at the solution.
        n_iter_: iterations taken.
    """

    def __init__(self, lam: float = 7e-4, alpha: float = 0.99, tol: float = 1e-6, max_iter: int = 50_000) -> None:
        self.lam = lam
        self.alpha = alpha
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y: ArrayLike) -> ElasticNetClassifier:
        """Fit to samples X (N,M) with labels y (N,).

        Raises:
            ChoreoError: there is only one class, or X holds NaN or infinity.
        """
        X = np.asarray(X, dtype=np.float64)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ChoreoError(
                f"a classifier needs two classes, the samples have {self.classes_.tolist()}",
                "the training split holds videos of one class only",
                "look at the columns `labels` and `split` of the manifest",
            )
        if not np.isfinite(X).all():
            raise ChoreoError("the activations hold NaN or infinity", "a concept is constant, or features are damaged")
        X1 = np.column_stack([X, np.ones(len(X))])  # (N,M+1), the bias is the last column
        Y = np.eye(len(self.classes_))[index]  # (N,K)
        W = self._descend(X1, Y)  # (M+1,K)
        self.coef_, self.intercept_ = W[:-1].T.copy(), W[-1].copy()
        self.objective_ = self._objective(W, X1, Y)
        if self.kkt_ > self.tol:
            warnings.warn(
                f"KKT residual {self.kkt_:.2e} after {self.n_iter_} iterations, not {self.tol:.0e}: raise max_iter",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Logits: (N,M) -> (N,K)."""
        return np.asarray(X) @ self.coef_.T + self.intercept_

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Class probabilities: (N,M) -> (N,K)."""
        return softmax(self.decision_function(X), axis=1)

    def predict(self, X: ArrayLike) -> NDArray:
        """Labels: (N,M) -> (N,)."""
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def _descend(self, X1: NDArray, Y: NDArray) -> NDArray:
        """FISTA from zero: (N,M+1), (N,K) -> (M+1,K)."""
        # The Hessian of the cross-entropy is at most 1/2 X'X / N (Boehning, 1992).
        step = 1 / max(0.5 * np.linalg.norm(X1, 2) ** 2 / len(X1), 1e-12)
        W = V = np.zeros((X1.shape[1], Y.shape[1]))
        t = 1.0
        for iteration in range(1, self.max_iter + 1):
            new = self._shrink(V - step * _gradient(V, X1, Y), step)
            if np.vdot(V - new, new - W) > 0:  # the momentum points uphill: start it anew
                t = 1.0
            t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
            V = new + (t - 1) / t_new * (new - W)
            W, t = new, t_new
            if iteration % 20 == 0 or iteration == self.max_iter:
                self.n_iter_, self.kkt_ = iteration, self._kkt(W, X1, Y)
                if self.kkt_ <= self.tol:
                    break
        return W

    def _shrink(self, W: NDArray, step: float) -> NDArray:
        """Proximal step of the penalty; the bias (last row) is left alone."""
        weights = np.sign(W[:-1]) * np.maximum(np.abs(W[:-1]) - step * self.lam * self.alpha, 0)
        return np.vstack([weights / (1 + step * self.lam * (1 - self.alpha)), W[-1:]])

    def _kkt(self, W: NDArray, X1: NDArray, Y: NDArray) -> float:
        """Largest distance of zero from the subdifferential of the objective."""
        gradient = _gradient(W, X1, Y)
        weights, smooth = W[:-1], gradient[:-1] + self.lam * (1 - self.alpha) * W[:-1]
        l1 = self.lam * self.alpha
        moved = np.abs(smooth + l1 * np.sign(weights))
        resting = np.maximum(np.abs(smooth) - l1, 0)
        return float(max(np.where(weights != 0, moved, resting).max(initial=0), np.abs(gradient[-1]).max()))

    def _objective(self, W: NDArray, X1: NDArray, Y: NDArray) -> float:
        loss = -(Y * log_softmax(X1 @ W, axis=1)).sum() / len(Y)
        ridge, lasso = (W[:-1] ** 2).sum() / 2, np.abs(W[:-1]).sum()
        return float(loss + self.lam * ((1 - self.alpha) * ridge + self.alpha * lasso))


def _gradient(W: NDArray, X1: NDArray, Y: NDArray) -> NDArray:
    """Gradient of the mean cross-entropy: (M+1,K), (N,M+1), (N,K) -> (M+1,K)."""
    return X1.T @ (softmax(X1 @ W, axis=1) - Y) / len(Y)
