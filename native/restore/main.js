require('../run.js')('main', 'restore');
