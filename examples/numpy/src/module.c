#define PY_SSIZE_T_CLEAN
#include <Python.h>
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

static PyObject *moving_mean(PyObject *module, PyObject *args)
{
    PyObject *given;
    Py_ssize_t width;
    (void)module;
    if (!PyArg_ParseTuple(args, "On", &given, &width))
        return NULL;
    PyArrayObject *series = (PyArrayObject *)PyArray_ContiguousFromAny(given, NPY_DOUBLE, 1, 1);
    if (series == NULL)
        return NULL;
    npy_intp size = PyArray_DIM(series, 0) - width + 1;
    if (width < 1 || size < 1) {
        Py_DECREF(series);
        return PyErr_Format(PyExc_ValueError, "no window of %zd values", width);
    }
    PyArrayObject *means = (PyArrayObject *)PyArray_SimpleNew(1, &size, NPY_DOUBLE);
    if (means != NULL) {
        const double *from = PyArray_DATA(series);
        double *to = PyArray_DATA(means);
        for (npy_intp i = 0; i < size; i++) {
            double sum = 0;
            for (Py_ssize_t j = 0; j < width; j++)
                sum += from[i + j];
            to[i] = sum / (double)width;
        }
    }
    Py_DECREF(series);
    return (PyObject *)means;
}

static PyMethodDef methods[] = {
    {"moving_mean", moving_mean, METH_VARARGS, "Return the means of all windows of a width."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_smoothing", .m_methods = methods};

PyMODINIT_FUNC PyInit__smoothing(void)
{
    import_array();
    return PyModule_Create(&definition);
}
