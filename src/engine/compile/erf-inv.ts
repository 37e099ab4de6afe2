/**
 * The polynomials of the inverse error function in single precision (Giles 2012, "Approximating the erfinv function",
 * figure 5): erfInv(x) = x central(w - 2.5) for w = -log(1 - x^2) below 5, x tail(sqrt(w) - 3) from there on. Constant
 * terms first.
 */
export const erfInvPolynomials = {
  // prettier-ignore
  central: [
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-6, -3.5233877e-6,
    3.43273939e-7, 2.81022636e-8,
  ],
  // prettier-ignore
  tail: [
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322,
    0.000100950558, -0.000200214257,
  ],
} as const
